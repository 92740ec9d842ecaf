import pytest

from focalaudio.brains.loggers import TrainLoggers, build_logger


def test_every_logger_gets_every_call():
    class Logger:
        def __init__(self):
            self.calls = []

        def log_stats(self, *args, **kwargs):
            self.calls.append((args, kwargs))

    loggers = [Logger(), Logger()]
    TrainLoggers(loggers).log_stats({"epoch": 1}, train_stats={"loss": 2.0})
    for logger in loggers:
        assert logger.calls == [
            (({"epoch": 1},), {"train_stats": {"loss": 2.0}})
        ]


def test_log_keeps_the_epochs_up_to_the_resumed_one(tmp_path):
    logger = build_logger(str(tmp_path))
    for epoch in range(1, 13):
        logger.log_stats({"epoch": epoch, "lr": 0.5}, train_stats={"loss": 2.0})
    logger.log_stats({"best epoch tested": 12}, test_stats={"loss": 3.0})
    lines = (tmp_path / "train_log.txt").read_text().splitlines()
    assert len(lines) == 13
    logger.rewind(9)
    kept = (tmp_path / "train_log.txt").read_text().splitlines()
    assert kept == lines[:9]  # what was tested is tested again
    logger.rewind(0)
    text = (tmp_path / "train_log.txt").read_text()
    assert text == ""


def test_log_that_needs_no_change_is_not_touched(tmp_path):
    path, logger = tmp_path / "train_log.txt", build_logger(str(tmp_path))
    logger.rewind(0)
    assert not path.exists()
    path.write_text("epoch: 1, lr: 1\nepoch: 2, lr: 1")
    inode = path.stat().st_ino
    logger.rewind(2)
    assert path.stat().st_ino == inode


def test_tensorboard_writes_nothing_before_the_first_epoch(tmp_path):
    pytest.importorskip("torch.utils.tensorboard")
    logger = build_logger(str(tmp_path), use_tensorboard=True)
    assert not list(tmp_path.iterdir())
    logger.log_stats({"epoch": 1}, train_stats={"loss": 2.0})
    assert list((tmp_path / "tensorboard").iterdir())

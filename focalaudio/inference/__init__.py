"""`sounds -> labels, and what they were heard in`: use what was trained.

interpreter     SoundInterpreter: classify, interpret and explain sounds
streaming       a recording of any length -> kept sound and timeline
stream_plan     a recording -> how it is cut into windows
stream_result   its explained windows -> what is written of it
threads         items -> results, several at once, in their order
windows         explained windows <-> the file that a stream goes on from
folder          files -> a folder of explanations, which can be taken up again
clip_files      an explained clip -> its files in that folder
folder_report   explained files -> the report of the folder
requests        how files shall be explained, and what came of each
sources         files, folders, patterns -> sound files
results         what is known of all files -> tables
store           what was found of each file <-> a line of a file
answers         what answers depend on, to go on with none but the same
streamed        what was written of a recording -> a row, its telling windows
reporting       a sound -> all that a listening report shows of it
clips           clips as a classifier wants them, and the way back
targets         labels or class ids -> class ids
run_opts        device, precision, compile
doors           a classifier of any make -> SoundInterpreter
foreign         the same -> SoundModel, by a function in a file of one's own too
novelty         a model and sounds -> which rules tell known from unknown
novelty_sounds  the sounds, known and unknown, group by group
novelty_scores  a model and sounds -> all scores of each
novelty_known   clips of a model's classes, heard or held out -> their scores
"""

from focalaudio.inference.stream_result import StreamResult
from focalaudio.inference.streaming import explain_stream

__all__ = ["StreamResult", "explain_stream"]

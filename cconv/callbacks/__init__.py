"""Callbacks: they record, show, stop or save a training.

A callback uses only what Keras' callbacks use too: ``stop_training``, ``optimizer.learning_rate``,
``get_weights``/``set_weights`` and ``save``/``save_weights``. There are three exceptions: `SwapEMAWeights`
makes the model exchange its weights and their averages, `BackupAndRestore` makes it write checkpoints, and
`ModelCheckpoint` asks it before the first epoch whether it can be saved.
"""

from cconv.arguments.keras_names import refusing
from cconv.callbacks.backup import BackupAndRestore
from cconv.callbacks.base import EVENTS, Callback
from cconv.callbacks.changing import LearningRateScheduler, SwapEMAWeights
from cconv.callbacks.checkpoints import ModelCheckpoint
from cconv.callbacks.listed import CallbackList, flat
from cconv.callbacks.progress import ProgressBar, format_logs
from cconv.callbacks.recording import CSVLogger, History, LambdaCallback
from cconv.callbacks.stopping import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN
from cconv.callbacks.tensorboard import TensorBoard

__all__ = [
    "EVENTS",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "flat",
    "format_logs",
]

refusing(globals())

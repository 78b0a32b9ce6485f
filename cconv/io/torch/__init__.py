"""Loading and saving PyTorch weights, in safetensors and in torch's own files, without torch.

A state dict holds only weights, so the network must exist first: one of `cconv.applications`, or your own.
Files are data: code in a file is never run.
"""

from cconv.io.torch.loading import load_state_dict
from cconv.io.torch.saving import save_state_dict

__all__ = ["load_state_dict", "save_state_dict"]

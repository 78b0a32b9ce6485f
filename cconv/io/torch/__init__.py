"""Weights of PyTorch in and out, in safetensors and in torch's own files, without torch.

A state dict holds weights alone, so the network is made here first: one of `cconv.applications`, or one's
own. Files are data: no code that stands in one is run.
"""

from cconv.io.torch.loading import load_state_dict
from cconv.io.torch.saving import save_state_dict

__all__ = ["load_state_dict", "save_state_dict"]

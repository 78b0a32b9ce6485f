"""Write a graph's PyTorch module, with a softmax behind it, as an .onnx file: NETWORK BATCH PATH."""

import sys
import warnings

import torch
from torch import nn

from benchmarks.networks import NETWORKS
from benchmarks.peers import torch_graphs
from benchmarks.peers.onnx_graphs import OPSET


def main(name: str, batch: int, path: str) -> None:
    model = nn.Sequential(torch_graphs.module(name), nn.Softmax(1)).eval()
    height, width, channels = NETWORKS[name].input_shape
    x = torch.zeros(batch, channels, height, width)
    with warnings.catch_warnings():
        # The newer exporter needs one package more, and gives the same graph.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(model, (x,), path, input_names=["x"], opset_version=OPSET, dynamo=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])

# _pooling.pyx: pooling, im2col

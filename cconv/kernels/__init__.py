"""OpenMP loops over the micro-kernels of `simd/`; each has its NumPy twin in `reference/`."""

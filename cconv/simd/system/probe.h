/* system/probe.h: would the system give so many threads now? */
#ifndef CCONV_PROBE_H
#define CCONV_PROBE_H
#include <stddef.h>

/* 0 if a thread may have a team of `threads`, itself among them, and one thread to spare; else the errno of the first that it may not.
 * `stack`: bytes that each of them has for its stack, 0 for the system's default. */
int cconv_probe(int threads, size_t stack);
#endif

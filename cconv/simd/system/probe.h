/* system/probe.h: would the system give so many threads now? */
#ifndef CCONV_PROBE_H
#define CCONV_PROBE_H
#include <stddef.h>

/* Returns 0 if the calling thread can have a team of `threads`, itself among them, and one thread to spare;
 * otherwise the errno of the first thread that could not be made.
 * `stack`: bytes of the stack of each thread, 0 for the system's default. */
int cconv_probe(int threads, size_t stack);
#endif

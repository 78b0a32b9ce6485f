/* system/team.h: the members of a parallel region, and how they share its loops.
 *
 * Only where GCC builds for Linux; elsewhere the compiler's OpenMP does all of it. */
#ifndef CCONV_TEAM_H
#define CCONV_TEAM_H

#if defined(_OPENMP) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define CCONV_HAS_CREW 1

typedef struct cconv_job cconv_job;

/* One thread that works in a region: its number, the number of all, and the loop it is in. */
typedef struct {
    cconv_job *job; /* NULL where it is alone */
    int id, threads, loop;
    long first, step; /* of the loop counter */
    long done;        /* iterations since the loop began */
} cconv_member;

/* How a member runs a module's region.  The module remembers the member, because its loops need it. */
typedef void cconv_enter(cconv_member *member, void (*body)(void *), void *data);

typedef struct {
    void (*region)(cconv_enter *enter, void (*body)(void *), void *data, int threads);
    int (*start)(cconv_member *member, long first, long stop, long step, long *from);
    int (*next)(cconv_member *member, long *from);
} cconv_crew;

/* The crew of this process; NULL if the user tells OpenMP which processors to use.  Defined in _kernels. */
const cconv_crew *cconv_crew_of_process(void);
/* Has helpers look for work about so long before they sleep.  Defined in _kernels. */
void cconv_look(long microseconds);
/* Lets a crew run the regions of this module.  Every module has it. */
void cconv_join(const void *crew);
#else
#define CCONV_HAS_CREW 0
static inline const void *cconv_crew_of_process(void) { return (const void *)0; }
static inline void cconv_look(long microseconds) { (void)microseconds; }
static inline void cconv_join(const void *crew) { (void)crew; }
#endif
#endif

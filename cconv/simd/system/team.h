/* system/team.h: who works in a parallel region, and how its loops are handed out.
 *
 * Only where GCC builds for Linux; elsewhere the compiler's OpenMP does all of it. */
#ifndef CCONV_TEAM_H
#define CCONV_TEAM_H

#if defined(_OPENMP) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define CCONV_HAS_CREW 1

typedef struct cconv_job cconv_job;

/* One thread that works in a region: its number, of how many, and which loop it is in. */
typedef struct {
    cconv_job *job; /* NULL where it is alone */
    int id, threads, loop;
    long first, step; /* of the loop's counter */
    long done;        /* iterations since the loop began */
} cconv_member;

/* How a module's region is run by a member; the module keeps who it is, for its loops to ask. */
typedef void cconv_enter(cconv_member *member, void (*body)(void *), void *data);

typedef struct {
    void (*region)(cconv_enter *enter, void (*body)(void *), void *data, int threads);
    int (*start)(cconv_member *member, long first, long stop, long step, long *from);
    int (*next)(cconv_member *member, long *from);
} cconv_crew;

/* The crew of this process; NULL where the user tells OpenMP which processors to take. In _kernels. */
const cconv_crew *cconv_crew_of_process(void);
/* Hand the regions of this module to a crew. In every module. */
void cconv_join(const void *crew);
#else
#define CCONV_HAS_CREW 0
static inline const void *cconv_crew_of_process(void) { return (const void *)0; }
static inline void cconv_join(const void *crew) { (void)crew; }
#endif
#endif

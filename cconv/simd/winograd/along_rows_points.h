/* winograd/along_rows_points.h: the matrices of winograd/along_rows.h.
 *
 * M(x) is the product of x - p over all points p but infinity, and N(p) = M'(p):
 *   B^T, here by columns: row p holds the coefficients of M(x) / (x - p), for infinity those of M(x)
 *   G: row p is (1, p, p^2, ...) / N(p), for infinity only the highest power's 1
 * The points are in the order 0, 1, -1, 2, -2, 1/2, -1/2, infinity; 3x3 has no +-1/2. */
static const REAL NAME(along_rows_b5)[8][8] = {
    {-1, 0, 0, 0, 0, 0, 0, 0},
    {0, 1, -1, (REAL)0.5, (REAL)-0.5, 2, -2, -1},
    {(REAL)5.25, 1, 1, (REAL)0.25, (REAL)0.25, 4, 4, 0},
    {0, (REAL)-4.25, (REAL)4.25, (REAL)-2.5, (REAL)2.5, (REAL)-2.5, (REAL)2.5, (REAL)5.25},
    {(REAL)-5.25, (REAL)-4.25, (REAL)-4.25, (REAL)-1.25, (REAL)-1.25, -5, -5, 0},
    {0, 1, -1, 2, -2, (REAL)0.5, (REAL)-0.5, (REAL)-5.25},
    {1, 1, 1, 1, 1, 1, 1, 0},
    {0, 0, 0, 0, 0, 0, 0, 1}};
static const REAL NAME(along_rows_b3)[8][8] = {
    {4, 0, 0, 0, 0, 0, 0, 0},
    {0, -4, 4, -2, 2, 0, 0, 4},
    {-5, -4, -4, -1, -1, 0, 0, 0},
    {0, 1, -1, 2, -2, 0, 0, -5},
    {1, 1, 1, 1, 1, 0, 0, 0},
    {0, 0, 0, 0, 0, 0, 0, 1}};
#define OVER(a, b) ((REAL)((a) / (double)(b)))
static const REAL NAME(along_rows_g5)[8][5] = {
    {-1, 0, 0, 0, 0},
    {OVER(-2, 9), OVER(-2, 9), OVER(-2, 9), OVER(-2, 9), OVER(-2, 9)},
    {OVER(-2, 9), OVER(2, 9), OVER(-2, 9), OVER(2, 9), OVER(-2, 9)},
    {OVER(1, 90), OVER(2, 90), OVER(4, 90), OVER(8, 90), OVER(16, 90)},
    {OVER(1, 90), OVER(-2, 90), OVER(4, 90), OVER(-8, 90), OVER(16, 90)},
    {OVER(32, 45), OVER(16, 45), OVER(8, 45), OVER(4, 45), OVER(2, 45)},
    {OVER(32, 45), OVER(-16, 45), OVER(8, 45), OVER(-4, 45), OVER(2, 45)},
    {0, 0, 0, 0, 1}};
static const REAL NAME(along_rows_g3)[8][3] = {
    {OVER(1, 4), 0, 0},
    {OVER(-1, 6), OVER(-1, 6), OVER(-1, 6)},
    {OVER(-1, 6), OVER(1, 6), OVER(-1, 6)},
    {OVER(1, 24), OVER(2, 24), OVER(4, 24)},
    {OVER(1, 24), OVER(-2, 24), OVER(4, 24)},
    {0, 0, 0},
    {0, 0, 0},
    {0, 0, 1}};
#undef OVER

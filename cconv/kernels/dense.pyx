# dense.pyx: dense layers, and 1x1 convolutions, as parallel loops over the micro-kernel of
# simd/product/product.h.
#
# Design.  All three passes multiply matrices, C (rows, columns) = A (rows, depth) B (depth, columns).  B is
# laid out block by block.  A block has 32 float or 16 double columns and DEPTH terms of the sum, so it stays
# in the L1 cache while all rows of A pass by, whatever the strides of B.  If the outputs are scaled, the laid
# out block is scaled.  Each thread lays out what it multiplies, in scratch of its own, so no thread waits for
# another.  That costs as much as some rows of A.  So B is multiplied where it lies if there are fewer rows
# (PACK_ROWS), or up to SHORT_ROWS while rows of B are short: then the rows of a piece fit into the L2 cache.
# A kernel that never changes is laid out once, and kept, if it is not so large that memory sets the time.
#
#     forward           y = x kernel          rows: samples       terms: inputs
#     input gradient    dx = dy kernel^T      rows: samples       terms: outputs
#     weight gradient   dkernel = x^T dy      rows: inputs        terms: samples
#
# A kernel that is large beside the other arrays is not laid out for the input gradient either.  There it is
# A, read once where it lies, and the result is dx transposed.  In the weight gradient the same is done with
# dy, for a few last columns that would leave vectors nearly empty.
#
# How rows and columns are shared among threads never changes a bit: every element of C is the sum, in
# order, of its pieces of DEPTH terms, and each piece is one chain inside the micro-kernel.  The samples of
# the weight gradient may be millions of pixels.  There the sums of PIECES pieces are added exactly
# (simd/rows/long_sum.h), and so are the sums of the bias.
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange

from libc.string cimport memset

from cconv._kernels cimport (
    CCONV_ACCUMULATE,
    CCONV_FETCH,
    CCONV_RELU,
    behind,
    cconv_ahead,
    cconv_ask,
    cconv_join,
    cconv_rows_of,
    cconv_sum,
    crew_of_process,
    pack,
    pack_scaled,
    product,
    row_product,
    second_cache,
    transpose,
)
from cconv._rows cimport cconv_rows
from cconv._sizes cimport ceil_div, least, most, size
from cconv.kernels.behind cimport Behind, behind_of, do_behind
from cconv.kernels.panels cimport (
    CALL,
    DEPTH,
    HEAD,
    STRIP,
    block_columns,
    lay_out,
    panel_product,
    panels_count,
    panels_size,
    terms,
)

cconv_join(crew_of_process())

cdef size PIECES = 16     # pieces of DEPTH terms in one chain of a sum over samples
cdef size TILE = 8        # rows of a tile, about: rows are cut into no more shares than tiles
cdef size RUN = 32        # terms between two prefetches
cdef size PANEL = 8       # blocks of B that are laid out together
cdef size GRADIENT_PANEL = 16  # blocks of dy: x is laid out anew for each panel
cdef size SWAP = 32       # rows of a kernel that are multiplied together as A
cdef size LAYING_OUT = 6  # cost of laying out a block of B, in rows of A
cdef size PACK_ROWS = 16  # fewest rows of A for which laying out B may pay
cdef size SHORT_ROWS = 256     # most rows of A for which B stays where it lies if its rows are short
cdef size FAR_BYTES = 1 << 22  # most bytes of a B that is near, in a cache
cdef size ROW_BYTES = 1024     # of a row of B that a task of a single row of A reads at once
cdef size FEW_BYTES = 16       # most bytes of last columns of a weight gradient that are summed as rows


# How a product is shared among threads: rows, and blocks of columns, are each cut into equal ranges.
cdef struct Grid:
    size rows, columns   # numbers of ranges; their product is at most the number of threads
    size blocks          # of columns


cdef Grid grid_of(size rows, size columns, size item, int threads) noexcept nogil:
    # The cut whose largest range takes the least time, laying out included.
    cdef Grid best, g
    cdef size width = block_columns(item), cost, least_cost = 0, down, wide
    g.blocks = ceil_div(columns, width)
    g.rows, g.columns = 1, 1
    best = g
    for down in range(1, least(threads, ceil_div(rows, TILE)) + 1):
        g.rows, g.columns = down, least(threads // down, g.blocks)
        # The last block may be narrow.
        wide = least(ceil_div(g.blocks, g.columns) * width, columns)
        cost = (ceil_div(rows, down) + LAYING_OUT) * wide
        if down == 1 or cost < least_cost:
            best, least_cost = g, cost
    return best


cdef inline void cut_runs(cconv_sum *s, size k) noexcept nogil:
    # The sum over k terms, in runs of RUN terms, between which something is prefetched.
    s.r = k // RUN if k % RUN == 0 else 1
    s.k = k // s.r
    s.ar, s.br = s.k * s.ak, s.k * s.bk


cdef inline size calls_of(size rows, size columns, size item) noexcept nogil:
    # How many times panel_product calls the micro-kernel.
    return ((rows // STRIP * ceil_div(STRIP, CALL) + ceil_div(rows % STRIP, CALL))
            * ceil_div(columns, block_columns(item)))


# One piece of a product: `n` columns of B from `column` on, and `k` terms from `first` on.
cdef struct Piece:
    size column, first, n, k
    bint last                # whether it is the last piece of its columns


cdef Piece piece_of(size t, size columns, size depth, size wide) noexcept nogil:
    cdef Piece p
    cdef size pieces = ceil_div(depth, DEPTH)
    p.column, p.first, p.last = t // pieces * wide, t % pieces * DEPTH, (t + 1) % pieces == 0
    # Behind the last piece, n or k is 0.
    p.n, p.k = most(least(wide, columns - p.column), 0), least(DEPTH, depth - p.first)
    return p


# A product, or a thread's share of its rows and columns.
cdef struct Product:
    size rows, columns, depth
    size stride       # elements from a row of B to the next
    size cm           # of C; of A they are `depth`
    bint transposed   # whether B is (columns, depth)
    int mode          # of the micro-kernel, for the last terms
    const Behind *last  # what follows, or NULL


cdef Product product_of(size rows, size columns, size depth, bint transposed, int mode) noexcept nogil:
    return Product(rows, columns, depth, depth if transposed else columns, columns, transposed, mode, NULL)


cdef Product share_of(const Product *whole, size rows, size columns) noexcept nogil:
    cdef Product p = whole[0]
    p.rows, p.columns = rows, columns
    return p


cdef void multiply_task(
    const cython.floating *a,       # IN   (rows, depth)
    const cython.floating *b,       # IN   (depth, columns); transposed: (columns, depth)
    const cython.floating *scale,   # IN   (columns): factors of B's columns; or NULL, always if transposed
    const cython.floating *bias,    # IN   (columns) or NULL
    cython.floating *c,             # OUT  (rows, columns)
    Product m,
    const cython.floating *laid,    # IN   the columns of all pieces, laid out, or NULL
    size apart,                     # elements from a piece of `laid` to the next
    cython.floating *scratch,       # OUT  (PANEL, DEPTH, block_columns), if not `laid`
) noexcept nogil:
    cdef size item = sizeof(cython.floating), width = block_columns(item), wide = PANEL * width, t
    cdef size stride = m.stride
    cdef cconv_sum s = terms(m.depth, 1, width, m.cm, item)
    cdef cconv_ahead ahead[2]
    cdef Piece p = piece_of(0, m.columns, m.depth, wide), q
    cdef const cython.floating *panel = <const cython.floating *>scratch
    ahead[1] = cconv_ask(NULL, 0, 0, 0, 1)
    for t in range(ceil_div(m.columns, wide) * ceil_div(m.depth, DEPTH)):
        if laid != NULL:
            panel = laid + p.first // DEPTH * apart + p.column * DEPTH
        elif m.transposed:
            pack(b + p.column * stride + p.first, scratch, True, p.k, p.n, stride, width, DEPTH * width)
        else:
            pack_scaled(b + p.first * stride + p.column, behind(scale, p.column), scratch, p.k, p.n, stride,
                        width, DEPTH * width)
        q = piece_of(t + 1, m.columns, m.depth, wide)
        if laid != NULL:
            ahead[0] = cconv_ask(laid + q.first // DEPTH * apart + q.column * DEPTH, ceil_div(q.n, width),
                                 q.k * width * item, DEPTH * width * item, calls_of(m.rows, p.n, item))
        elif m.transposed:
            ahead[0] = cconv_ask(b + q.column * stride + q.first, q.n, q.k * item, stride * item,
                                 calls_of(m.rows, p.n, item))
        else:
            ahead[0] = cconv_ask(b + q.first * stride + q.column, q.k, q.n * item, stride * item,
                                 calls_of(m.rows, p.n, item))
        s.k = p.k
        panel_product(a + p.first, panel, DEPTH * width,
                      behind(bias, p.column) if p.last else <const cython.floating *>NULL, c + p.column,
                      m.rows, p.n, &s, (m.mode if p.last else 0) | (CCONV_ACCUMULATE if p.first else 0),
                      ahead, m.last if p.last else NULL)
        p = q


cdef inline size short_bytes() noexcept nogil:
    # Most bytes of a short row of B: DEPTH of them take three quarters of the second cache.
    return second_cache() // 256


def dense_in_place(size rows, size columns, size item):
    """Tell whether `dense_forward` is faster without scratch: B is then multiplied where it lies."""
    return rows < PACK_ROWS or (rows <= SHORT_ROWS and columns * item <= short_bytes())


def dense_scratch(size item, int threads):
    """Return the elements of scratch in which `dense_forward`, or its input gradient, lays out B."""
    return threads * (DEPTH + SWAP) * PANEL * block_columns(item)


cdef void in_place_task(
    const cython.floating *a,       # IN   (rows, depth)
    const cython.floating *b,       # IN   (depth, columns)
    const cython.floating *bias,    # IN   (columns) or NULL
    cython.floating *c,             # OUT  (rows, columns)
    Product m,
) noexcept nogil:
    # B is multiplied where it lies.  The next terms of A and B are prefetched meanwhile, if there is enough
    # work beside it, or B comes from far away, and if rows of B are short.
    cdef size item = sizeof(cython.floating), stride = m.stride, piece, first, after, parts
    cdef bint busy = m.rows >= PACK_ROWS or m.depth * stride * item > FAR_BYTES
    cdef int fetch = CCONV_FETCH if busy and stride * item <= short_bytes() else 0
    cdef cconv_sum s = terms(m.depth, 1, stride, m.cm, item)
    cdef cconv_ahead ahead[2]
    s.ahead = ahead
    for piece in range(ceil_div(m.depth, DEPTH)):
        first = piece * DEPTH
        cut_runs(&s, least(DEPTH, m.depth - first))
        after = least(DEPTH, m.depth - first - DEPTH)
        parts = s.r * ceil_div(m.rows, TILE) * ceil_div(m.columns, block_columns(item))
        ahead[0] = cconv_ask(b + (first + DEPTH) * stride, after, m.columns * item, stride * item, parts)
        ahead[1] = cconv_ask(a + first + DEPTH, m.rows, after * item, m.depth * item, parts)
        product(&s, m.rows, m.columns, a + first, b + first * stride, c,
                <const cython.floating *>NULL if after > 0 else bias,
                fetch | (0 if after > 0 else m.mode) | (CCONV_ACCUMULATE if first else 0))
    if m.last != NULL:
        do_behind(m.last, m.rows, m.columns, m.cm, c, item)


cdef void multiply(
    const cython.floating *a,       # IN   (rows, depth)
    const cython.floating *b,       # IN   (depth, columns); transposed: (columns, depth)
    const cython.floating *scale,   # IN   (columns): factors of B's columns; or NULL, always in place
    const cython.floating *bias,    # IN   (columns) or NULL
    cython.floating *c,             # OUT  (rows, columns)
    Product m,
    const cython.floating *laid,    # IN   B, laid out, or NULL
    cython.floating *scratch,       # OUT  dense_scratch(...), or NULL: B is laid out, or multiplied in place
    int threads,
) noexcept nogil:
    cdef size width = block_columns(sizeof(cython.floating))
    cdef size apart = ceil_div(m.columns, width) * DEPTH * width
    cdef Grid g = grid_of(m.rows, m.columns, sizeof(cython.floating), threads)
    cdef size t, i, j, down, across
    # Laid-out panels take no scratch.
    cdef size each = (DEPTH + SWAP) * PANEL * width if scratch != NULL else 0
    for t in prange(g.rows * g.columns, num_threads=threads, schedule="dynamic"):
        i, j = t // g.columns, t % g.columns
        down, across = (i + 1) * m.rows // g.rows, least((j + 1) * g.blocks // g.columns * width, m.columns)
        i, j = i * m.rows // g.rows, j * g.blocks // g.columns * width
        if laid == NULL and scratch == NULL:
            in_place_task(a + i * m.depth, b + j, behind(bias, j), c + i * m.cm + j,
                          share_of(&m, down - i, across - j))
        else:
            multiply_task(a + i * m.depth, b + (j * m.stride if m.transposed else j), behind(scale, j),
                          behind(bias, j), c + i * m.cm + j, share_of(&m, down - i, across - j),
                          behind(laid, j * DEPTH), apart, scratch + t * each)


cdef void keep(
    const cython.floating *b,       # IN   (depth, columns)
    const cython.floating *scale,   # IN   (columns) or NULL
    size depth, size columns,
    cython.floating *kept,          # OUT  kept_size(...)
    int threads,
) noexcept nogil:
    # Lays out B at the first call.
    cdef size t
    if kept[0] == 1:
        return
    for t in prange(panels_count(depth, columns, sizeof(cython.floating)), num_threads=threads,
                    schedule="dynamic"):
        lay_out(b, scale, kept + HEAD, depth, columns, t)
    kept[0] = 1


def kept_size(size depth, size columns, size item):
    """Return how many elements `dense_forward` keeps of a kernel that never changes; 0: it keeps none."""
    return HEAD + panels_size(depth, columns, item) if depth * columns * item <= FAR_BYTES else 0


def dense_forward(
    const cython.floating[:, ::1] x,       # IN   (m, in)
    const cython.floating[:, ::1] kernel,  # IN   (in, out)
    const cython.floating[::1] scale,      # IN   (out) or None: factors, before the bias
    const cython.floating[::1] bias,       # IN   (out) or None
    cython.floating[:, ::1] y,             # OUT  (m, out)
    bint relu,
    const cython.floating[:, ::1] added,   # IN   (m, out) or None: added after all that, followed by
    int activation, double number,         # this activation, by its code
    cython.floating[::1] kept,             # OUT  kept_size(...), from call to call, or None
    cython.floating[::1] scratch,          # OUT  dense_scratch(...), or None: kept, or in place without scale
    int threads,
):
    """Multiply: y = x @ (kernel * scale) + bias, then ReLU if `relu`, then + added and the activation."""
    cdef const cython.floating *more = NULL
    cdef Product whole
    cdef Behind last
    cdef const cython.floating *gamma = NULL
    cdef const cython.floating *beta = NULL
    cdef cython.floating *room = NULL
    cdef cython.floating *memory = NULL
    if scale is not None:
        gamma = &scale[0]
    if bias is not None:
        beta = &bias[0]
    if scratch is not None:
        room = &scratch[0]
    if added is not None:
        more = &added[0, 0]
    whole = product_of(x.shape[0], kernel.shape[1], kernel.shape[0], False, CCONV_RELU if relu else 0)
    if more != NULL or activation:
        last = behind_of(&y[0, 0], more, activation, number, sizeof(cython.floating))
        whole.last = &last
    if kept is not None:
        memory = &kept[0]
    with nogil:
        if memory != NULL:
            keep(&kernel[0, 0], gamma, kernel.shape[0], kernel.shape[1], memory, threads)
        multiply(&x[0, 0], &kernel[0, 0], gamma, beta, &y[0, 0], whole,
                 behind(<const cython.floating *>memory, HEAD), room, threads)


def dense_row_scratch(size depth, size columns):
    """Return the elements of scratch that `dense_row` takes: the sums of every DEPTH terms."""
    return ceil_div(depth, DEPTH) * columns


cdef void add_pieces(
    const cython.floating *sums,  # IN   (pieces, columns)
    const cython.floating *bias,  # IN   (columns) or NULL
    cython.floating *y,           # OUT  (columns)
    size pieces, size columns, bint relu,
) noexcept nogil:
    # In the order in which the micro-kernel adds pieces to C.
    cdef size i, j
    for i in range(pieces):
        if i == pieces - 1 and bias != NULL:
            for j in range(columns):
                y[j] = sums[i * columns + j] + y[j] + bias[j] if i else sums[j] + bias[j]
        else:
            for j in range(columns):
                y[j] = sums[i * columns + j] + y[j] if i else sums[j]
    if relu:
        for j in range(columns):
            y[j] = 0 if y[j] < 0 else y[j]


def dense_row(
    const cython.floating[:, ::1] x,       # IN   (1, in)
    const cython.floating[:, ::1] kernel,  # IN   (in, out)
    const cython.floating[::1] bias,       # IN   (out) or None
    cython.floating[:, ::1] y,             # OUT  (1, out)
    bint relu,
    cython.floating[::1] scratch,          # OUT  dense_row_scratch(in, out)
    int threads,
):
    """Do what dense_forward(...) does for one sample, with the same bits, as fast as the kernel is read."""
    cdef size depth = kernel.shape[0], columns = kernel.shape[1], pieces = ceil_div(depth, DEPTH)
    cdef size width = ROW_BYTES // sizeof(cython.floating), blocks = ceil_div(columns, width)
    cdef size t, i, j
    cdef const cython.floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    with nogil:
        for t in prange(pieces * blocks, num_threads=threads, schedule="dynamic"):
            i, j = t // blocks, (t % blocks) * width
            row_product(least(DEPTH, depth - i * DEPTH), least(width, columns - j), columns, &x[0, i * DEPTH],
                        &kernel[i * DEPTH, j], &scratch[i * columns + j])
        add_pieces(<const cython.floating *>&scratch[0], beta, &y[0, 0], pieces, columns, relu)


cdef bint swaps(size rows, size inputs, size outputs, size item) noexcept nogil:
    # Whether it takes less to lay out dy and transpose dx than to lay out the kernel, and dy has room.
    return (ceil_div(outputs, DEPTH) * ceil_div(rows, block_columns(item)) <= PANEL
            and rows * (2 * outputs + inputs) < inputs * outputs)


cdef void swapped_task(
    const cython.floating *kernel,  # IN   (taps, depth): this task's rows
    const cython.floating *dy,      # IN   (rows, depth)
    cython.floating *dx,            # OUT  (rows, taps), rows `inputs` apart
    size taps, size rows, size depth, size inputs,
    cython.floating *scratch,       # OUT  (pieces, blocks, DEPTH, block_columns), (SWAP, blocks of rows)
) noexcept nogil:
    # dx^T = kernel dy^T: the kernel, as A, is read once where it lies; dy^T is laid out as B.
    cdef size item = sizeof(cython.floating), width = block_columns(item), blocks = ceil_div(rows, width)
    cdef size piece, first, i, n, after, parts
    cdef cython.floating *strip = scratch + PANEL * DEPTH * width
    cdef cconv_sum s = terms(depth, 1, width, blocks * width, item)
    cdef cconv_ahead ahead[2]
    s.ahead, s.bn = ahead, DEPTH * width
    for piece in range(ceil_div(depth, DEPTH)):
        first = piece * DEPTH
        pack(dy + first, scratch + first * blocks * width, True, least(DEPTH, depth - first), rows, depth,
             width, s.bn)
    for i in range(ceil_div(taps, SWAP)):
        n, after = least(SWAP, taps - i * SWAP), least(SWAP, taps - (i + 1) * SWAP)
        for piece in range(ceil_div(depth, DEPTH)):
            first = piece * DEPTH
            cut_runs(&s, least(DEPTH, depth - first))
            parts = s.r * ceil_div(n, TILE) * blocks
            ahead[0] = cconv_ask(kernel + (i + 1) * SWAP * depth + first, after, s.r * s.k * item,
                                 depth * item, parts)
            ahead[1] = cconv_ask(dx + i * SWAP, 0 if first else rows, n * item, inputs * item, parts)
            product(&s, n, rows, kernel + i * SWAP * depth + first,
                    <const cython.floating *>scratch + first * blocks * width, strip,
                    <const cython.floating *>NULL, CCONV_FETCH | (CCONV_ACCUMULATE if first else 0))
        transpose(rows, n, blocks * width, inputs, <const cython.floating *>strip, dx + i * SWAP)


def dense_input_gradient(
    const cython.floating[:, ::1] dy,      # IN   (m, out)
    const cython.floating[:, ::1] kernel,  # IN   (in, out)
    cython.floating[:, ::1] dx,            # OUT  (m, in)
    cython.floating[::1] scratch,          # OUT  dense_scratch(...)
    int threads,
):
    """Gradient of a dense layer with respect to its input: dx = dy @ kernel.T."""
    cdef size m = dy.shape[0], outputs = dy.shape[1], inputs = dx.shape[1], t, first, stop
    cdef size tiles = ceil_div(inputs, TILE), ranges = least(tiles, threads)
    cdef size each = (DEPTH + SWAP) * PANEL * block_columns(sizeof(cython.floating))
    with nogil:
        if swaps(m, inputs, outputs, sizeof(cython.floating)):
            for t in prange(ranges, num_threads=threads, schedule="dynamic"):
                first, stop = t * tiles // ranges * TILE, least((t + 1) * tiles // ranges * TILE, inputs)
                swapped_task(&kernel[first, 0], &dy[0, 0], &dx[0, first], stop - first, m, outputs, inputs,
                             &scratch[0] + t * each)
        else:
            multiply(&dy[0, 0], &kernel[0, 0], <const cython.floating *>NULL, <const cython.floating *>NULL,
                     &dx[0, 0], product_of(m, inputs, outputs, True, 0), <const cython.floating *>NULL,
                     &scratch[0], threads)


cdef inline size wide_of(size outputs, size item) noexcept nogil:
    # Columns of a panel of dy in the weight gradient.
    cdef size width = block_columns(item)
    return least(GRADIENT_PANEL, ceil_div(outputs, width)) * width


cdef inline size few_of(size columns, size item) noexcept nogil:
    # Last columns of a weight gradient, behind whole vectors of the widest kind, to be summed as rows.
    cdef size left = columns % (block_columns(item) // 2)
    return left if left * item <= FEW_BYTES else 0


# A task of the weight gradient: some inputs; and of the `tasks` shares of the blocks of dbias, share `task`.
cdef struct Share:
    size m, inputs, outputs   # samples; inputs and outputs of the layer
    size first, taps          # the task's inputs
    size task, tasks


cdef Share share_of_inputs(size m, size inputs, size outputs, size task, size tasks) noexcept nogil:
    # The inputs of task `task`: whole tiles.
    cdef size tiles = ceil_div(inputs, TILE), first = task * tiles // tasks * TILE
    cdef size stop = least((task + 1) * tiles // tasks * TILE, inputs)
    return Share(m, inputs, outputs, first, stop - first, task, tasks)


cdef void few_columns(
    const cython.floating *dy,     # IN   (k, few), rows of a block of the panel
    const cython.floating *strip,  # IN   (k, STRIP)
    cython.floating *dkernel,      # OUT  (n, few), rows `apart` apart
    size few, size n, size k, size apart, bint accumulate,
    cython.floating *sums,         # OUT  (few, STRIP)
) noexcept nogil:
    # The inputs lie in the lanes of vectors, because there are enough of them: dkernel comes out transposed.
    cdef cconv_sum s = terms(1, block_columns(sizeof(cython.floating)), STRIP, STRIP, sizeof(cython.floating))
    cdef size i, j
    s.k = k
    product(&s, few, n, dy, strip, sums, <const cython.floating *>NULL, 0)
    for i in range(n):
        for j in range(few):
            dkernel[i * apart + j] = (sums[j * STRIP + i] + dkernel[i * apart + j] if accumulate
                                      else sums[j * STRIP + i])


cdef void strips_product(
    const cython.floating *x,      # IN   (m, inputs), from the task's first input on
    cython.floating *to,           # OUT  (taps, p.n), rows `apart` apart
    const Share *share, const Piece *p, const Piece *next, size apart, int mode, cconv_ahead *ahead,
    cython.floating *scratch,      # IN   the panel of dy (blocks, DEPTH, block_columns); OUT  what follows it
) noexcept nogil:
    # What one piece of the sum gives.
    cdef size inputs = share.inputs, taps = share.taps
    cdef size item = sizeof(cython.floating), width = block_columns(item), strips = ceil_div(taps, STRIP)
    cdef size few = few_of(p.n, item), many = p.n - few, i, n
    cdef const Piece *after
    cdef cython.floating *strip = scratch + DEPTH * wide_of(share.outputs, item)
    cdef cconv_sum s = terms(1, STRIP, width, apart, item)
    s.k = p.k
    for i in range(strips):
        n = least(STRIP, taps - i * STRIP)
        # The inputs of a sample lie a whole row apart in x.
        pack(x + p.first * inputs + i * STRIP, strip, False, p.k, n, inputs, STRIP, 0)
        # After the last strip come the first inputs of the next samples.
        after = next if i + 1 == strips else p
        ahead[0] = cconv_ask(x + after.first * inputs + (i + 1) % strips * STRIP, after.k,
                             least(STRIP, taps - (i + 1) % strips * STRIP) * item, inputs * item,
                             calls_of(n, many, item))
        panel_product(<const cython.floating *>strip, <const cython.floating *>scratch, DEPTH * width,
                      <const cython.floating *>NULL, to + i * STRIP * apart, n, many, &s, mode, ahead,
                      NULL)
        if few:
            few_columns(<const cython.floating *>scratch + many // width * DEPTH * width + many % width,
                        <const cython.floating *>strip, to + i * STRIP * apart + many, few, n, p.k, apart,
                        mode, strip + DEPTH * STRIP)


cdef void bias_sums(
    const cython.floating *panel,  # IN      (blocks, DEPTH, block_columns) of dy
    cython.floating *sums,         # IN, OUT (2, wide): sums, and what was lost
    cython.floating *dbias,        # OUT     (p.n), with the last piece
    const Piece *p, const Share *share,
) noexcept nogil:
    cdef size item = sizeof(cython.floating), width = block_columns(item), i, n
    cdef size wide = wide_of(share.outputs, item)
    cdef const cconv_rows *rows = cconv_rows_of(item)
    if p.first == 0:
        memset(sums, 0, 2 * wide * item)
    for i in range(ceil_div(p.n, width)):
        if (p.column // width + i) % share.tasks == share.task:
            n = least(width, p.n - i * width)
            rows.add_columns(p.k, n, width, panel + i * DEPTH * width, sums + i * width,
                             sums + wide + i * width)
            if p.last:
                rows.whole(n, sums + i * width, sums + wide + i * width, dbias + p.column + i * width)


cdef void settle(
    const cython.floating *group,  # IN       (taps, n), rows `wide` apart
    cython.floating *lost,         # IN, OUT  the same
    cython.floating *dkernel,      # IN, OUT  (taps, n), rows `outputs` apart
    const Share *share, const Piece *p, bint first,
) noexcept nogil:
    # dkernel, lost += group, exactly.  The first group lies in dkernel itself.
    cdef size item = sizeof(cython.floating), n = p.n, outputs = share.outputs, i
    cdef size wide = wide_of(outputs, item)
    cdef const cconv_rows *rows = cconv_rows_of(item)
    for i in range(share.taps):
        if first:
            memset(lost + i * wide, 0, n * item)
        else:
            rows.add_exactly(n, group + i * wide, dkernel + i * outputs, lost + i * wide)
        if p.last:
            rows.whole(n, dkernel + i * outputs, lost + i * wide, dkernel + i * outputs)


cdef void gradient_task(
    const cython.floating *x,      # IN   (m, inputs), from the task's first input on
    const cython.floating *dy,     # IN   (m, outputs)
    cython.floating *dkernel,      # OUT  (taps, outputs): this task's rows
    cython.floating *dbias,        # OUT  (outputs)
    Share share,
    cython.floating *scratch,      # OUT  (blocks, DEPTH, block_columns), (DEPTH, STRIP), (few, STRIP), the
                                   #      sums of the bias; and if m is long, two (taps, wide)
) noexcept nogil:
    cdef size item = sizeof(cython.floating), width = block_columns(item)
    cdef size m = share.m, outputs = share.outputs, taps = share.taps, wide = wide_of(outputs, item)
    cdef size pieces = ceil_div(m, DEPTH), t, piece, apart
    cdef cython.floating *biases = scratch + DEPTH * (wide + STRIP) + FEW_BYTES // item * STRIP
    cdef cython.floating *group = biases + 2 * wide
    cdef cython.floating *lost = group + taps * wide
    cdef cython.floating *to
    cdef cconv_ahead ahead[2]
    cdef Piece p = piece_of(0, outputs, m, wide), q
    for t in range(ceil_div(outputs, wide) * pieces):
        pack(dy + p.first * outputs + p.column, scratch, False, p.k, p.n, outputs, width, DEPTH * width)
        bias_sums(<const cython.floating *>scratch, biases, dbias, &p, &share)
        q = piece_of(t + 1, outputs, m, wide)
        if q.n == 0:
            q.k = 0  # nothing is left to prefetch
        ahead[1] = cconv_ask(dy + q.first * outputs + q.column, q.k, q.n * item, outputs * item,
                             calls_of(taps, p.n - few_of(p.n, item), item))
        piece = p.first // DEPTH
        to, apart = (group, wide) if piece >= PIECES else (dkernel + p.column, outputs)
        strips_product(x, to, &share, &p, &q, apart, CCONV_ACCUMULATE if piece % PIECES else 0, ahead,
                       scratch)
        if pieces > PIECES and ((piece + 1) % PIECES == 0 or p.last):
            settle(<const cython.floating *>group, lost, dkernel + p.column, &share, &p, piece < PIECES)
        p = q


cdef inline size gradient_room(size m, size inputs, size outputs, size item, int threads) noexcept nogil:
    # Elements of scratch of a thread; its inputs are whole tiles.
    cdef size wide = wide_of(outputs, item), tiles = ceil_div(inputs, TILE)
    cdef size taps = ceil_div(tiles, least(tiles, threads)) * TILE if m > PIECES * DEPTH else 0
    return DEPTH * (wide + STRIP) + FEW_BYTES // item * STRIP + 2 * wide + 2 * taps * wide


def dense_weight_gradient_scratch(size m, size inputs, size outputs, size item, int threads):
    """Return the elements of scratch that `dense_weight_gradient` takes on `threads` threads."""
    return threads * gradient_room(m, inputs, outputs, item, threads)


def dense_weight_gradient(
    const cython.floating[:, ::1] dy,  # IN   (m, out)
    const cython.floating[:, ::1] x,   # IN   (m, in)
    cython.floating[:, ::1] dkernel,   # OUT  (in, out)
    cython.floating[::1] dbias,        # OUT  (out)
    cython.floating[::1] scratch,      # OUT  dense_weight_gradient_scratch(...)
    int threads,
):
    """Gradient of a dense layer with respect to its kernel, dkernel = x.T @ dy, and its bias."""
    cdef size m = x.shape[0], inputs = x.shape[1], ranges = least(ceil_div(inputs, TILE), threads), t, first
    cdef size each = gradient_room(m, inputs, dy.shape[1], sizeof(cython.floating), threads)
    cdef Share share
    with nogil:
        for t in prange(ranges, num_threads=threads, schedule="dynamic"):
            share = share_of_inputs(m, inputs, dy.shape[1], t, ranges)
            first = share.first
            gradient_task(&x[0, first], &dy[0, 0], &dkernel[first, 0], &dbias[0], share,
                          &scratch[0] + t * each)

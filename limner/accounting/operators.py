"""The table: what every operator costs. An operator that is not in it is unknown, never free.

Convention: one multiply-add, comparison, addition or function value is 1. Rules are plain
arithmetic on shapes (+ - * //), so that they hold for symbolic sizes as well. The places that look
at a value: `links_along` tells plain from symbolic sizes (an exact sum against a closed form),
`adaptive_pool` walks over its output's sides, which must be plain.
"""

from collections.abc import Sequence

from limner.accounting.operation import Call, Cost, Rule, needs_gradient, product
from limner.errors import AccountError


def convolution(call: Call) -> Cost:
    """Any convolution: grouped, dilated, transposed, of 1, 2 or 3 dimensions.

    weight [out, in / groups, *kernel], or transposed [in, out / groups, *kernel]: each of its
    entries is used once per sample and position, output positions or, transposed, input positions.
    """
    x, weight = call.tensor("input"), call.tensor("weight")
    sides, places = list(x.shape[2:]), list(call.output.shape[2:])
    if call.arguments["transposed"]:
        sides, places = places, sides  # it links as the convolution that it is the adjoint of
    kernel = list(weight.shape[2:])
    pairs = x.shape[0] * weight.shape[0] * weight.shape[1]
    connections = pairs * product(places) * product(kernel)
    dimensions = len(kernel)
    stride, padding, dilation = (
        spread(call.arguments[name], dimensions) for name in ("stride", "padding", "dilation")
    )
    links = pairs * product(
        [
            links_along(*sizes)
            for sizes in zip(sides, places, kernel, stride, padding, dilation, strict=True)
        ]
    )
    return Cost(
        connections=connections,
        links=links,
        input_gradient=connections if needs_gradient(x) else 0,
        weight_gradient=connections if needs_gradient(weight) else 0,
    )


def spread(value: Sequence[int], dimensions: int) -> list[int]:
    """One value for every dimension: torch also takes a list of one for all."""
    return list(value) * dimensions if len(value) == 1 else list(value)


def links_along(side: int, places: int, k: int, stride: int, padding: int, dilation: int) -> int:
    """Pairs of a place 0 <= o < places and a tap 0 <= t < k that meet the side and not its padding.

    That is 0 <= o * stride - padding + t * dilation < side. Plain sizes: exact, by a sum over taps.
    Symbolic sizes: the closed form, which holds where the kernel does not reach past the padding
    of both ends at once (padding <= (k - 1) * dilation, and padding <= stride * places), and where
    stride or dilation is 1. At stride 1, odd k and padding (k - 1) / 2: k side - (k^2 - 1) / 4.
    """
    if all(type(size) is int for size in (side, places, k, stride, padding, dilation)):
        total = 0
        for tap in range(k):
            offset = padding - tap * dilation
            first = max(0, -(-offset // stride))
            end = min(places, -(-(side + offset) // stride))
            total += max(0, end - first)
        return total
    reach = (places - 1) * stride + (k - 1) * dilation - padding - (side - 1)
    for end in (padding, reach):  # a symbolic run keeps what these ask as the formula's conditions
        if end > stride * places or end > (k - 1) * dilation:
            raise AccountError("a kernel reaches past a whole side: its links have no formula")
    return places * k - outside(padding, stride, dilation) - outside(reach, stride, dilation)


def outside(reach: int, stride: int, dilation: int) -> int:
    """Pairs beyond one end: the sum of ceil(r / stride) over r = reach, reach - dilation, ... > 0.

    Exact where stride or dilation is 1; a reach from 1 - stride to -1 (what a stride leaves over)
    gives 0, as it should.
    """
    if dilation == 1:
        whole = reach // stride
        rest = reach - whole * stride
        return stride * whole * (whole + 1) // 2 + rest * (whole + 1)
    steps = reach // dilation
    return (steps + 1) * reach - dilation * steps * (steps + 1) // 2


def matrix_product(left: str, right: str) -> Rule:
    """A product of two matrices, or stacks of them: result times the inner side.

    Its gradients cost as much as itself, once for either operand that needs one.
    """

    def rule(call: Call) -> Cost:
        operands = call.tensor(left), call.tensor(right)
        connections = product(call.output.shape) * operands[0].shape[-1]
        weight_gradients = input_gradients = 0
        for operand in operands:
            if needs_gradient(operand):
                if call.is_parameter(operand):
                    weight_gradients += 1
                else:
                    input_gradients += 1
        return Cost(
            connections=connections,
            links=connections,
            input_gradient=input_gradients * connections,
            weight_gradient=weight_gradients * connections,
        )

    return rule


def attention(call: Call) -> Cost:
    """Fused scaled dot-product attention: q [..., L, d], k [..., S, d], v [..., S, e].

    Masks are not subtracted. Its backward pass computes the scores again and then four products,
    whichever of the three needs the gradient (Dao et al. 2022, algorithm 4).
    """
    q, k, v = (call.tensor(name) for name in ("query", "key", "value"))
    scores = product(q.shape[:-1]) * k.shape[-2]
    connections = scores * (q.shape[-1] + v.shape[-1])
    backward = connections * 2 + scores * q.shape[-1]
    return Cost(
        connections=connections,
        links=connections,
        element_ops=SOFTMAX * scores,
        input_gradient=backward if any(needs_gradient(x) for x in (q, k, v)) else 0,
    )


SOFTMAX = 4  # maximum, exponential, sum, quotient


def per_output(count: int) -> Rule:
    """`count` operations for every element of the (first) output."""
    return lambda call: Cost(element_ops=count * product(call.output.shape))


def per_input(count: int) -> Rule:
    """`count` operations for every element of the argument named self or input."""

    def rule(call: Call) -> Cost:
        name = "self" if "self" in call.arguments else "input"
        return Cost(element_ops=count * product(call.tensor(name).shape))

    return rule


def batch_norm(call: Call) -> Cost:
    """One multiply-add per element; in training also the sums for mean and variance."""
    return Cost(element_ops=(3 if call.arguments["training"] else 1) * product(call.output.shape))


def pool(dimensions: int) -> Rule:
    """Every output looks at a whole window, padding included."""

    def rule(call: Call) -> Cost:
        window = product(spread(call.arguments["kernel_size"], dimensions))
        return Cost(element_ops=window * product(call.output.shape))

    return rule


def adaptive_pool(call: Call) -> Cost:
    """Output i of O along a side H looks at floor(iH / O) to ceil((i + 1)H / O)."""
    x, output = call.tensor("self"), call.output
    sizes = call.arguments["output_size"]
    dimensions = len(sizes)
    reads = product(x.shape[:-dimensions])
    for H, places in zip(x.shape[-dimensions:], output.shape[-dimensions:], strict=True):
        reads = reads * sum(
            ((i + 1) * H + places - 1) // places - i * H // places for i in range(places)
        )
    return Cost(element_ops=reads)


def grid_sample(call: Call) -> Cost:
    """Neighbors of a sampled point: 2 a dimension (linear), 1 (nearest), 4 (cubic)."""
    dimensions = len(call.output.shape) - 2
    neighbors = {0: 2, 1: 1, 2: 4}[call.arguments["interpolation_mode"]]
    return Cost(element_ops=neighbors**dimensions * product(call.output.shape))


def free(call: Call) -> Cost:
    """Moves, names or makes elements, and computes none: free by declaration."""
    return Cost()


PRODUCTS = {
    "mm": ("self", "mat2"),
    "addmm": ("mat1", "mat2"),
    "_addmm_activation": ("mat1", "mat2"),
    "bmm": ("self", "mat2"),
    "baddbmm": ("batch1", "batch2"),
    "mv": ("self", "vec"),
    "addmv": ("mat", "vec"),
    "dot": ("self", "tensor"),
    "vdot": ("self", "other"),
    "linear": ("input", "weight"),
}

ATTENTION = """
_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
_scaled_dot_product_fused_attention_overrideable
"""

# One per element of the output.
ELEMENTWISE = """
add sub rsub mul div floor_divide remainder fmod pow square sqrt rsqrt reciprocal neg abs sign exp
exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh erf erfc erfinv
floor ceil round trunc frac clamp clamp_min clamp_max maximum minimum fmax fmin lerp addcmul addcdiv
hypot relu relu6 leaky_relu rrelu_with_noise rrelu_with_noise_functional _prelu_kernel prelu elu
selu celu gelu silu mish sigmoid hardtanh hardsigmoid hardswish hardshrink softshrink softplus
log_sigmoid_forward logit threshold glu eq ne lt le gt ge logical_and logical_or logical_not
logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor where masked_fill isnan isinf isfinite
bernoulli native_dropout polar complex view_as_complex_copy conj_physical sinc xlogy nan_to_num
tril triu heaviside
"""

# One per element read.
REDUCTIONS = """
sum mean amax amin aminmax max min argmax argmin prod any all cumsum cumprod cummax nansum
"""

# Two per element read: a square or a difference, and a sum; log and exp.
DOUBLE_REDUCTIONS = "var std var_mean std_mean norm linalg_vector_norm logsumexp"

# Mean and variance of their own, then a multiply-add.
NORMS = "native_layer_norm native_group_norm _fused_rms_norm"

BATCH_NORMS = "native_batch_norm _native_batch_norm_legit cudnn_batch_norm miopen_batch_norm"

POOLS = {
    "avg_pool1d": 1, "avg_pool2d": 2, "avg_pool3d": 3,
    "max_pool1d": 1, "max_pool2d_with_indices": 2, "max_pool3d_with_indices": 3,
}  # fmt: skip

ADAPTIVE_POOLS = """
_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_max_pool1d
adaptive_max_pool2d adaptive_max_pool3d
"""

# Neighbors that an element of the output is made of.
INTERPOLATIONS = {
    "upsample_nearest1d": 1, "upsample_nearest2d": 1, "upsample_nearest3d": 1,
    "_upsample_nearest_exact1d": 1, "_upsample_nearest_exact2d": 1, "_upsample_nearest_exact3d": 1,
    "upsample_linear1d": 2, "upsample_bilinear2d": 4, "upsample_trilinear3d": 8,
    "upsample_bicubic2d": 16,
}  # fmt: skip

# Shapes, copies, look-ups, constants and random numbers.
FREE = """
view _unsafe_view reshape _reshape_alias _reshape_copy as_strided expand permute transpose t
unsqueeze squeeze
slice select narrow split split_with_sizes unsafe_split unsafe_split_with_sizes chunk unsafe_chunk
unbind unfold diagonal detach alias view_as_real view_as_complex _conj lift lift_fresh real imag
movedim swapaxes
cat stack clone copy contiguous _to_copy to repeat repeat_interleave roll flip rot90 pad
constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d
replication_pad2d replication_pad3d pixel_shuffle pixel_unshuffle channel_shuffle
native_channel_shuffle im2col col2im max_unpool2d resize set
index _unsafe_index index_select index_put _unsafe_index_put index_copy index_fill gather take
scatter slice_scatter select_scatter diagonal_scatter embedding one_hot masked_scatter
empty empty_strided empty_like new_empty new_empty_strided zeros zeros_like new_zeros ones ones_like
new_ones full full_like new_full fill zero arange linspace logspace eye scalar_tensor tril_indices
triu_indices rand rand_like randn randn_like randint randint_like randperm normal uniform random
argsort sort topk
device layout is_contiguous sym_is_contiguous is_non_overlapping_and_dense is_strides_like_format
size sym_size stride sym_stride numel sym_numel storage_offset sym_storage_offset dim
"""

RULES: dict[str, Rule] = {
    "convolution": convolution,
    "_convolution": convolution,
    **{name: matrix_product(*operands) for name, operands in PRODUCTS.items()},
    **dict.fromkeys(ATTENTION.split(), attention),
    **dict.fromkeys(ELEMENTWISE.split(), per_output(1)),
    **dict.fromkeys(("_softmax", "_safe_softmax", "_log_softmax"), per_output(SOFTMAX)),
    **dict.fromkeys(REDUCTIONS.split(), per_input(1)),
    **dict.fromkeys(DOUBLE_REDUCTIONS.split(), per_input(2)),
    **dict.fromkeys(NORMS.split(), per_output(3)),
    **dict.fromkeys(BATCH_NORMS.split(), batch_norm),
    "_native_batch_norm_legit_no_training": per_output(1),
    "_batch_norm_no_update": per_output(1),
    "_batch_norm_with_update": per_output(3),
    **{name: pool(dimensions) for name, dimensions in POOLS.items()},
    **dict.fromkeys(ADAPTIVE_POOLS.split(), adaptive_pool),
    **{name: per_output(neighbors) for name, neighbors in INTERPOLATIONS.items()},
    **dict.fromkeys(("grid_sampler_2d", "grid_sampler_3d"), grid_sample),
    **dict.fromkeys(FREE.split(), free),
}

# What reads values, which neither the meta device nor a symbolic run has.
DATA_DEPENDENT = """
_local_scalar_dense item is_nonzero nonzero equal allclose masked_select unique _unique _unique2
unique_consecutive unique_dim bincount
"""


def plain_name(schema_name: str) -> str:
    """The operator without namespace and in-place mark: "aten::relu_" is "relu".

    Operators of other namespaces than aten keep theirs.
    """
    name = schema_name.removeprefix("aten::").removeprefix("prim::")
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name

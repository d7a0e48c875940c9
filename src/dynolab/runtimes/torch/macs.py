"""Multiply-accumulates of an exported program: PyTorch's own counter, and None with the reason for what it would count as 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from dynolab.runtimes.torch import files

Shape = Sequence[int]
_BRANCHES = {"cond", "while_loop", "map_impl", "scan", "associative_scan"}
_NO_PRODUCTS = frozenset(
    name
    for line in """
        _adaptive_avg_pool2d _adaptive_avg_pool3d _assert_async _assert_scalar _assert_tensor_metadata _embedding_bag
        _embedding_bag_forward_only _fused_rms_norm _local_scalar_dense _log_softmax _native_batch_norm_legit
        _native_batch_norm_legit_no_training _pdist_forward _safe_softmax _softmax _to_copy _unsafe_index _unsafe_index_put
        _unsafe_view adaptive_max_pool2d adaptive_max_pool3d all amax amin any arange argmax argmin as_strided_copy as_strided_scatter
        avg_pool1d avg_pool2d avg_pool3d bernoulli bincount bucketize cat channel_shuffle clone col2im constant_pad_nd copy
        count_nonzero cummax cummin cumprod cumsum dequantize dequantize_per_channel dequantize_per_tensor diagonal_scatter embedding
        empty empty_like empty_permuted empty_strided eye fill flip full full_like gather glu grid_sampler_2d grid_sampler_3d
        histc im2col index index_add index_copy index_fill index_put index_reduce index_select isin item lift_fresh
        lift_fresh_copy linalg_vector_norm logcumsumexp logsumexp masked_fill masked_scatter masked_select max max_pool2d_with_indices
        max_pool3d_with_indices mean median min mode multinomial nanmedian native_batch_norm native_dropout native_group_norm
        native_layer_norm new_empty new_empty_strided new_full new_ones new_zeros nonzero nonzero_static norm normal_functional
        one_hot ones ones_like pixel_shuffle pixel_unshuffle prod quantize_per_channel quantize_per_tensor rand rand_like randint
        randint_like randn randn_like randperm range reflection_pad1d reflection_pad2d reflection_pad3d renorm repeat
        repeat_interleave replication_pad1d replication_pad2d replication_pad3d resize roll scalar_tensor scatter scatter_add
        scatter_reduce searchsorted select_scatter slice_scatter sort split_copy split_with_sizes_copy stack std std_mean sum
        sym_constrain_range sym_constrain_range_for_size sym_numel sym_size sym_storage_offset sym_stride topk tril tril_indices
        triu triu_indices unfold_copy unsafe_chunk unsafe_split unsafe_split_with_sizes _reshape_alias _reshape_copy
        unique_consecutive unique_dim upsample_bicubic2d upsample_bilinear2d upsample_linear1d
        upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d _unique2 _upsample_bicubic2d_aa
        _upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d var var_mean zeros
        zeros_like
    """.splitlines()
    for name in line.split()
)
"""Operators that multiply and add element by element at most, and have no tag of PyTorch's that says so."""


def count(program: Any, run: Callable[[], object]) -> tuple[int | None, str | None]:
    """Half of what PyTorch's counter counts as FLOPs while ``run`` runs the program on tensors without data; or the reason."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    if any(str(getattr(node.target, "name", lambda: "")()) in _BRANCHES for node in _calls(program)):
        return None, "the model branches or loops: the count depends on its inputs"
    counter = FlopCounterMode(display=False, custom_mapping=_formulas())
    unknown: set[str] = set()
    watch = _watch(counter.flop_registry, unknown)
    try:
        with files.quiet(), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True), watch, counter:
            run()
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        return None, f"a run without data failed: {files.useful(error)}"
    if unknown:
        return None, f"how many {min(unknown)} has is not known to dynolab"
    return int(counter.get_total_flops()) // 2, None


def _calls(program: Any) -> list[Any]:
    return [
        node
        for node in program.graph.nodes
        if node.op == "call_function" and callable(getattr(node.target, "name", None))
    ]


def _watch(counted: Mapping[Any, Any], unknown: set[str]) -> Any:
    """A mode below PyTorch's counter that adds the names of operators that nobody counts."""
    from torch import Tag
    from torch.utils._python_dispatch import TorchDispatchMode

    harmless = {Tag.pointwise, Tag.view_copy, Tag.inplace_view, getattr(Tag, "reduction", Tag.pointwise)}

    def dispatched(_: Any, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        packet = func._overloadpacket
        asked = func.namespace == "prim"  # for a device or a type: nothing is computed
        known = asked or packet in counted or func.is_view or harmless.intersection(func.tags)
        if not known and packet.__name__.rstrip("_") not in _NO_PRODUCTS:  # in place or not
            unknown.add(str(packet))
        return func(*args, **(kwargs or {}))

    return type("Watch", (TorchDispatchMode,), {"__torch_dispatch__": dispatched})()


def _formulas() -> dict[Any, Callable[..., int]]:
    """FLOPs of what PyTorch's counter lacks (2.13) and a CPU runs, from the shapes of the arguments."""
    import torch
    from torch.utils.flop_counter import sdpa_flop_count

    aten = torch.ops.aten

    def attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
        return int(sdpa_flop_count(query, key, value))

    def recurrent(data: Shape, weights: Shape, state_weights: Shape, *_: Any, **__: Any) -> int:
        return 2 * prod(data[:-1]) * (prod(weights) + prod(state_weights))

    return {
        aten._scaled_dot_product_flash_attention_for_cpu: attention,
        aten.mkldnn_rnn_layer: recurrent,
        aten.mv: lambda matrix, *_, **__: 2 * prod(matrix),
        aten.addmv: lambda _bias, matrix, *_, **__: 2 * prod(matrix),
        aten.dot: lambda first, *_, **__: 2 * prod(first),
        aten._int_mm: lambda first, second, *_, **__: 2 * prod(first) * second[1],
    }

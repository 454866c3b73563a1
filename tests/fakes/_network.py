"""Network and parser of the fake TensorRT: an ONNX model read, or refused with the errors that TensorRT gives."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from tests.fakes._classes import make
from tests.fakes._compile import Unsupported, edge_key, edges, inner_tensors, layer_name
from tests.fakes._core import dims
from tests.fakes._onnx import Network as Model
from tests.fakes._plan import TensorInfo
from tests.fakes._plugins import needs_plugin
from tests.fakes._weights import Place, constant_nodes, places

# Of ONNX's own operators, those that no TensorRT's parser has.
_UNSUPPORTED = {
    "Unique", "Det", "StringNormalizer", "SequenceConstruct", "SequenceAt", "MatMulInteger", "ConvInteger",
    "QLinearConv", "QLinearMatMul", "MaxUnpool", "Multinomial", "DFT", "STFT", "TfIdfVectorizer", "Col2Im",
}  # fmt: skip
# What the parser makes of an operator, where that is not a layer of the same name.
_LAYERS = {
    "Conv": "CONVOLUTION", "ConvTranspose": "DECONVOLUTION", "Gemm": "MATRIX_MULTIPLY", "MatMul": "MATRIX_MULTIPLY",
    "Relu": "ACTIVATION", "Sigmoid": "ACTIVATION", "Tanh": "ACTIVATION", "Add": "ELEMENTWISE", "Sub": "ELEMENTWISE",
    "Mul": "ELEMENTWISE", "Div": "ELEMENTWISE", "Softmax": "SOFTMAX", "ReduceSum": "REDUCE", "ReduceMean": "REDUCE",
    "ReduceMax": "REDUCE", "Concat": "CONCATENATION", "Reshape": "SHUFFLE", "Transpose": "SHUFFLE",
    "Flatten": "SHUFFLE", "MaxPool": "POOLING", "AveragePool": "POOLING", "GlobalAveragePool": "REDUCE",
    "Constant": "CONSTANT", "Shape": "SHAPE", "Identity": "IDENTITY", "Cast": "CAST", "Resize": "RESIZE",
    "Slice": "SLICE", "Gather": "GATHER", "TopK": "TOPK", "NonZero": "NON_ZERO", "QuantizeLinear": "QUANTIZE",
    "DequantizeLinear": "DEQUANTIZE", "BatchNormalization": "SCALE", "Abs": "UNARY", "Neg": "UNARY", "Exp": "UNARY",
}  # fmt: skip


class Tensor:
    """A tensor at the edge of a network."""

    _trt: Any
    is_execution_tensor = True

    def _start(self, info: TensorInfo) -> None:
        self._info = info
        self._name = info.name

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    @property
    def dtype(self) -> Any:
        return self._trt.DataType[self._info.dtype]

    @property
    def shape(self) -> Any:
        return dims(self._trt, self._info.shape)

    @property
    def is_shape_tensor(self) -> bool:
        return self._info.on_host

    @property
    def is_network_input(self) -> bool:
        return self._info.is_input

    @property
    def is_network_output(self) -> bool:
        return not self._info.is_input

    @property
    def location(self) -> Any:
        return self._trt.TensorLocation.HOST if self._info.on_host else self._trt.TensorLocation.DEVICE


class Layer:
    """A layer: here, a node of the ONNX model. Its precision is a wish, unless the configuration says otherwise."""

    _trt: Any
    metadata = ""

    def _start(self, node: onnx.NodeProto, number: int, tensors: dict[str, Any], weights: dict[Place, Any]) -> None:
        self._node = node
        self._weights = {role: values for (layer, role), values in weights.items() if layer == layer_name(node, number)}
        self._tensors = tensors
        self._name = layer_name(node, number)
        self._precision: Any = None
        self._types: dict[int, Any] = {}

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    @property
    def type(self) -> Any:
        # TensorRT before 8.6 casts by an identity layer; what is not listed counts as a plugin.
        kind = _LAYERS.get(self._node.op_type, "PLUGIN")
        return self._trt.LayerType[kind if hasattr(self._trt.LayerType, kind) else "IDENTITY"]

    def get_input(self, index: int) -> Any:
        return self._tensors.get(self._node.input[index])

    def get_output(self, index: int) -> Any:
        return self._tensors[self._node.output[index]]

    @property
    def num_inputs(self) -> int:
        return len(self._node.input)

    @property
    def num_outputs(self) -> int:
        return len(self._node.output)

    @property
    def precision(self) -> Any:
        return self._precision or self._trt.DataType.FLOAT

    @precision.setter
    def precision(self, kind: Any) -> None:
        self._precision = kind

    @property
    def precision_is_set(self) -> bool:
        return self._precision is not None

    def reset_precision(self) -> None:
        self._precision = None

    def set_output_type(self, index: int, dtype: Any) -> None:
        self._types[index] = dtype

    def get_output_type(self, index: int) -> Any:
        return self._types.get(index, self._trt.DataType.FLOAT)

    def output_type_is_set(self, index: int) -> bool:
        return index in self._types


class Convolution(Layer):
    """One that convolves, either way."""

    @property
    def kernel(self) -> Any:
        return self._held("KERNEL")

    @property
    def bias(self) -> Any:
        return self._held("BIAS")

    def _held(self, role: str) -> Any:
        return self._weights.get(role, np.empty(0, np.float32))


class Constant(Layer):
    """One that holds numbers, which those of ONNX's own Constant nodes are not asked for."""

    @property
    def weights(self) -> Any:
        return self._weights.get("CONSTANT", np.empty(0, np.float32))


class Network:
    """What the parser fills and the builder builds."""

    _trt: Any
    name = "Unnamed Network 0"
    has_implicit_batch_dimension = False
    error_recorder = None

    def _start(self, builder: Any, flags: int) -> None:
        self._builder = builder
        self._flags = flags
        self._model: Model | None = None
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._layers: list[Any] = []

    @property
    def builder(self) -> Any:
        return self._builder

    @property
    def flags(self) -> int:
        return self._flags

    def get_flag(self, flag: Any) -> bool:
        return bool(self._flags >> int(flag) & 1)

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    @property
    def num_layers(self) -> int:
        return len(self._layers)

    def get_input(self, index: int) -> Any:
        return self._inputs[index] if 0 <= operator.index(index) < len(self._inputs) else None

    def get_output(self, index: int) -> Any:
        return self._outputs[index] if 0 <= operator.index(index) < len(self._outputs) else None

    def get_layer(self, index: int) -> Any:
        return self._layers[index] if 0 <= operator.index(index) < len(self._layers) else None

    def _fill(self, model: Model, inputs: list[TensorInfo], outputs: list[TensorInfo]) -> None:
        self._model = model
        self._inputs = [make(self._trt.ITensor, one) for one in inputs]
        self._outputs = [make(self._trt.ITensor, one) for one in outputs]
        tensors = {one._info.source: one for one in (*self._inputs, *self._outputs)}
        for info in inner_tensors(self._trt.engine_api, model):
            tensors.setdefault(info.name, make(self._trt.ITensor, info))
        for node in constant_nodes(model.proto):
            info = TensorInfo(node.output[0], node.output[0], False, "FLOAT", ())
            tensors.setdefault(info.name, make(self._trt.ITensor, info))
        nodes = [*model.proto.graph.node, *constant_nodes(model.proto)]
        weights = {one.name: one for one in model.proto.graph.initializer}
        held = {place: numpy_helper.to_array(weights[name]) for place, name in places(model.proto).items()}
        self._layers = [make(self._trt.ILayer, node, n, tensors, held) for n, node in enumerate(nodes)]

    def _tensor_names(self) -> dict[str, str]:
        """Return what tensors are to be called in the engine."""
        return {edge_key(one._info): one._name for one in (*self._inputs, *self._outputs)}


class ParserError:
    """One complaint of the parser; its accessors are methods."""

    _trt: Any

    def _start(self, code: str, text: str, number: int, node: onnx.NodeProto | None) -> None:
        self._code, self._text, self._number = code, text, number
        self._node = node or onnx.NodeProto()

    def code(self) -> Any:
        return self._trt.ErrorCode[self._code]

    def desc(self) -> str:
        return self._text

    def node(self) -> int:
        return self._number

    def node_name(self) -> str:
        return self._node.name

    def node_operator(self) -> str:
        return self._node.op_type

    def file(self) -> str:
        return "onnxOpCheckers.cpp"

    def func(self) -> str:
        return "checkFallbackPluginImporter"

    def line(self) -> int:
        return 951

    def local_function_stack(self) -> list[str]:
        return []

    def local_function_stack_size(self) -> int:
        return 0

    def __str__(self) -> str:
        name, kind = self._node.name, self._node.op_type
        where = f"In node {self._number} with name: {name} and operator: {kind}" if kind else f"In node {self._number}"
        return f"{where} ({self.func()}): {self._code}: {self._text}"


class Parser:
    """Reads ONNX. Up to 8 it stops at the first error; later it goes on and tells all."""

    _trt: Any

    def __init__(self, network: Any, logger: Any) -> None:
        if not isinstance(network, self._trt.INetworkDefinition) or not isinstance(logger, self._trt.ILogger):
            raise TypeError("__init__(): incompatible constructor arguments: OnnxParser(network, logger)")
        self._ready = True
        self._network = network
        self._logger = logger
        self._errors: list[Any] = []
        self._flags = 0

    def parse(self, model: Any, path: str | None = None) -> bool:
        data = bytes(memoryview(model))
        try:
            proto = onnx.load_from_string(data)
        except DecodeError:
            return self._fail("MODEL_DESERIALIZE_FAILED", "Failed to parse the ONNX model.")
        if path is not None:
            onnx.load_external_data_for_model(proto, str(Path(path).parent))
            data = proto.SerializeToString()
        return self._take(data, proto)

    def parse_from_file(self, model: str) -> bool:
        if not Path(model).is_file():
            return self._fail("MODEL_DESERIALIZE_FAILED", f"Failed to open file: {model}")
        try:
            proto = onnx.load(model)
        except DecodeError:
            return self._fail("MODEL_DESERIALIZE_FAILED", "Failed to parse the ONNX model.")
        return self._take(proto.SerializeToString(), proto)

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]

    def clear_errors(self) -> None:
        self._errors.clear()

    def supports_operator(self, op_name: str) -> bool:
        # That of 8.5 has whatever a plugin is registered for.
        creators = self._trt.get_plugin_registry()._creators if self._trt.api == "8.5.3" else ()
        return _is_supported(op_name) or op_name in [creator.name for creator in creators]

    @property
    def flags(self) -> int:
        return self._flags

    @flags.setter
    def flags(self, flags: int) -> None:
        self._flags = flags

    def set_flag(self, flag: Any) -> None:
        self._flags |= 1 << int(flag)

    def clear_flag(self, flag: Any) -> None:
        self._flags &= ~(1 << int(flag))

    def get_flag(self, flag: Any) -> bool:
        return bool(self._flags >> int(flag) & 1)

    def _take(self, data: bytes, proto: onnx.ModelProto) -> bool:
        for number, node in enumerate(proto.graph.node):
            plugin = needs_plugin(node) and self._trt.get_plugin_registry()._has(node)
            if not plugin and (node.domain not in ("", "ai.onnx") or not _is_supported(node.op_type)):
                self._fail(
                    "UNSUPPORTED_NODE",
                    'creator && "Plugin not found, are the plugin name, version, and namespace correct?"',
                    number, node,
                )  # fmt: skip
                if not hasattr(self._trt.ParserError, "node_operator"):
                    return False
        if self._errors:
            return False
        try:
            model = Model(data)
            self._network._fill(model, *edges(self._trt.engine_api, model))
        except Unsupported as error:
            return self._fail("UNSUPPORTED_NODE", str(error))
        return True

    def _fail(self, code: str, text: str, number: int = -1, node: onnx.NodeProto | None = None) -> bool:
        self._errors.append(make(self._trt.ParserError, code, text, number, node))
        self._logger.log(self._trt.ILogger.Severity.ERROR, str(self._errors[-1]))
        return False


def _is_supported(op_type: str) -> bool:
    return op_type not in _UNSUPPORTED and onnx.defs.has(op_type)


NETWORK: dict[str, type] = {
    "ITensor": Tensor, "ILayer": Layer, "IConvolutionLayer": Convolution, "IDeconvolutionLayer": Convolution,
    "IConstantLayer": Constant, "INetworkDefinition": Network, "ParserError": ParserError, "OnnxParser": Parser,
}  # fmt: skip

"""The messages of the Open Inference Protocol's gRPC service, built at run time for the installed protobuf.

The wire format consists of the field numbers and types below, which the protocol fixes; names are for readers. The
messages are declared here rather than generated, because generated code works with some protobuf versions only. They
have their own descriptor pool, so that a client package in the same process can define the same messages.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"
HEALTH_SERVICE = "grpc.health.v1.Health"
"""The standard gRPC health-checking protocol, which Kubernetes probes use."""

_PARAMETERS = "map<InferParameter>"
_NAMED = "string name=1; string version=2"
_TENSOR = (
    f"string name=1; string datatype=2; int64[] shape=3; {_PARAMETERS} parameters=4; InferTensorContents contents=5"
)
# Each field: type, with [] if repeated; name; number. map<T> has string keys.
_MESSAGES = {
    "Empty": "",
    "ServerLiveResponse": "bool live=1",
    "ServerReadyResponse": "bool ready=1",
    "ModelRequest": _NAMED,
    "ModelReadyResponse": "bool ready=1",
    "ServerMetadataResponse": "string name=1; string version=2; string[] extensions=3",
    "TensorMetadata": "string name=1; string datatype=2; int64[] shape=3",
    "ModelMetadataResponse": (
        "string name=1; string[] versions=2; string platform=3; TensorMetadata[] inputs=4; TensorMetadata[] outputs=5"
    ),
    "InferParameter": (
        "bool bool_param=1; int64 int64_param=2; string string_param=3; double double_param=4; uint64 uint64_param=5"
    ),
    "InferTensorContents": (
        "bool[] bool_contents=1; int32[] int_contents=2; int64[] int64_contents=3; uint32[] uint_contents=4; "
        "uint64[] uint64_contents=5; float[] fp32_contents=6; double[] fp64_contents=7; bytes[] bytes_contents=8"
    ),
    "InferTensor": _TENSOR,
    "InferRequestedOutput": f"string name=1; {_PARAMETERS} parameters=2",
    "ModelInferRequest": (
        f"string model_name=1; string model_version=2; string id=3; {_PARAMETERS} parameters=4; "
        "InferTensor[] inputs=5; InferRequestedOutput[] outputs=6; bytes[] raw_input_contents=7"
    ),
    "ModelInferResponse": (
        f"string model_name=1; string model_version=2; string id=3; {_PARAMETERS} parameters=4; "
        "InferTensor[] outputs=5; bytes[] raw_output_contents=6"
    ),
    "ModelStreamInferResponse": "string error_message=1; ModelInferResponse infer_response=2",
    "ModelTensorConfig": "string name=1; int32 data_type=2; int64[] dims=4",
    "ModelOutputConfig": "string name=1; int32 data_type=2; int64[] dims=3",
    "ModelConfig": (
        "string name=1; string platform=2; string backend=17; int32 max_batch_size=4; ModelTensorConfig[] input=5; "
        "ModelOutputConfig[] output=6"
    ),
    "ModelConfigResponse": "ModelConfig config=1",
    "StatisticDuration": "uint64 count=1; uint64 ns=2",
    "InferStatistics": (
        "StatisticDuration success=1; StatisticDuration fail=2; StatisticDuration queue=3; "
        "StatisticDuration compute_infer=5"
    ),
    "ModelStatistics": (
        "string name=1; string version=2; uint64 last_inference=3; uint64 inference_count=4; uint64 execution_count=5; "
        "InferStatistics inference_stats=6"
    ),
    "ModelStatisticsResponse": "ModelStatistics[] model_stats=1",
    "ModelIndex": "string name=1; string version=2; string state=3; string reason=4",
    "RepositoryIndexRequest": "string repository_name=1; bool ready=2",
    "RepositoryIndexResponse": "ModelIndex[] models=1",
    "HealthCheckRequest": "string service=1",
    "HealthCheckResponse": "int32 status=1",
}
_FIELD = re.compile(r"(map<)?(\w+)>?(\[\])? (\w+)=(\d+)")


def _file() -> descriptor_pb2.FileDescriptorProto:
    """Return the declarations as a protobuf file descriptor."""
    file = descriptor_pb2.FileDescriptorProto(name="onepass/inference.proto", package="inference", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in filter(None, fields.split("; ")):
            found = _FIELD.fullmatch(text)
            if found is None:
                raise ValueError(f"{name}: invalid field {text!r}")
            _add_field(message, *found.groups())
        if name == "InferParameter":
            message.oneof_decl.add(name="parameter_choice")
            for field in message.field:
                field.oneof_index = 0
    return file


def _add_field(message: Any, is_map: str | None, kind: str, several: str | None, name: str, number: str) -> None:
    field = message.field.add(name=name, number=int(number))
    field.label = field.LABEL_REPEATED if several or is_map else field.LABEL_OPTIONAL
    if is_map:  # encoded as a list of pairs
        entry = message.nested_type.add(name="".join(map(str.title, name.split("_"))) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, None, "string", None, "key", "1")
        _add_field(entry, None, kind, None, "value", "2")
        field.type, field.type_name = field.TYPE_MESSAGE, f".inference.{message.name}.{entry.name}"
    elif kind in _MESSAGES:
        field.type, field.type_name = field.TYPE_MESSAGE, f".inference.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")


_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(_file().SerializeToString())


@cache
def message(name: str) -> Any:
    """Return the class of a message."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"inference.{name}"))

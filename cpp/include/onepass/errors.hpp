// The errors of onepass, with the names of the Python library.
#ifndef ONEPASS_ERRORS_HPP
#define ONEPASS_ERRORS_HPP

#include <stdexcept>

namespace onepass {

struct Error : std::runtime_error {  // base of all errors that this library throws on purpose
    using std::runtime_error::runtime_error;
};
struct ModelError : Error {  // a model file cannot be used
    using Error::Error;
};
struct ModelNotFoundError : ModelError {  // no file at that path
    using ModelError::ModelError;
};
struct ModelFormatError : ModelError {  // damaged, or in another format
    using ModelError::ModelError;
};
struct UnsupportedModelError : ModelError {  // valid, but not supported
    using ModelError::ModelError;
};
struct EngineError : ModelError {  // an engine cannot be used here
    using ModelError::ModelError;
};
struct EngineVersionError : EngineError {  // built by another version of TensorRT
    using EngineError::EngineError;
};
struct EngineDeviceError : EngineError {  // built for another GPU
    using EngineError::EngineError;
};
struct EngineMismatchError : EngineError {  // engine and sidecar do not match, or one is damaged
    using EngineError::EngineError;
};
struct InputError : Error {  // an argument of a call is wrong
    using Error::Error;
};
struct OutputNameError : Error {  // the model has no such output
    using Error::Error;
};
struct DtypeError : Error {  // a tensor's elements were requested with another type
    using Error::Error;
};
struct BackendError : Error {  // TensorRT, CUDA or ONNX Runtime failed, or was not found
    using Error::Error;
};
struct DeviceError : BackendError {  // no driver, no GPU, or no GPU with that number
    using BackendError::BackendError;
};

}  // namespace onepass

#endif  // ONEPASS_ERRORS_HPP

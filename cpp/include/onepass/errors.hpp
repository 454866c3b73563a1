// The errors of onepass: those of the Python library, by the same names.
#ifndef ONEPASS_ERRORS_HPP
#define ONEPASS_ERRORS_HPP

#include <stdexcept>

namespace onepass {

struct Error : std::runtime_error {  // all that this library throws on purpose
    using std::runtime_error::runtime_error;
};
struct ModelError : Error {  // a model file cannot be used
    using Error::Error;
};
struct ModelNotFoundError : ModelError {  // nothing is at that path
    using ModelError::ModelError;
};
struct ModelFormatError : ModelError {  // damaged, or of another format
    using ModelError::ModelError;
};
struct UnsupportedModelError : ModelError {  // sound, but beyond what is here
    using ModelError::ModelError;
};
struct EngineError : ModelError {  // an engine cannot be used here
    using ModelError::ModelError;
};
struct EngineVersionError : EngineError {  // another version of TensorRT built it
    using EngineError::EngineError;
};
struct EngineDeviceError : EngineError {  // it was built for another GPU
    using EngineError::EngineError;
};
struct EngineMismatchError : EngineError {  // it is not its sidecar's, or is damaged
    using EngineError::EngineError;
};
struct InputError : Error {  // what a call was given is wrong
    using Error::Error;
};
struct OutputNameError : Error {  // the model has no such output
    using Error::Error;
};
struct DtypeError : Error {  // a tensor's elements were asked for as another type than it has
    using Error::Error;
};
struct BackendError : Error {  // TensorRT, CUDA or ONNX Runtime failed, or is not there
    using Error::Error;
};
struct DeviceError : BackendError {  // no driver, no GPU, or none of that number
    using BackendError::BackendError;
};

}  // namespace onepass

#endif  // ONEPASS_ERRORS_HPP

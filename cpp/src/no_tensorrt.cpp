// In place of src/tensorrt where the library is built without TensorRT's headers.
#include "backend.hpp"

namespace onepass {

std::unique_ptr<Backend> open_engine(const std::string& path, const Options&) {
    throw UnsupportedModelError(path +
                                " is a TensorRT engine, and this onepass was built without TensorRT; build it with " +
                                "-DONEPASS_TENSORRT=ON and TensorRT's headers");
}

}  // namespace onepass

// An engine that is open on a GPU: deserialised, its tensors matched with the model's, its profiles known.
#pragma once

#include <mutex>
#include <optional>

#include "../library.hpp"
#include "../sidecar.hpp"
#include "compat.hpp"

namespace onepass::tensorrt {

// TensorRT's log: handed on, and its last complaints kept for the message of an exception.
class Book final : public nvinfer1::ILogger {
  public:
    explicit Book(std::function<void(onepass::Severity, const char*)> sink) : sink_(std::move(sink)) {}
    void log(Severity severity, const char* text) noexcept override;
    std::string taken();  // what was complained of since it was asked last

  private:
    std::function<void(onepass::Severity, const char*)> sink_;
    std::mutex mutex_;
    std::vector<std::string> lines_;
};

// TensorRT's library, of which two functions are needed, so that nothing is linked.
class Runtime {
  public:
    explicit Runtime(const std::string& library);
    std::string text() const;                                     // "libnvinfer.so.10 10.16.1"
    std::string version() const;                                  // "10.16.1"
    std::unique_ptr<nvinfer1::IRuntime> start(Book& book) const;  // null where it refuses

  private:
    Library library_;
};

class Engine {
  public:
    Engine(std::string path, Options options, int device);

    // A context that computes in `scratch`, of scratch_size() bytes on the GPU. Throws BackendError.
    std::unique_ptr<nvinfer1::IExecutionContext> new_context(void* scratch);
    std::size_t scratch_size() const { return scratch_bytes(*raw_); }
    [[noreturn]] void fail(const std::string& what);  // BackendError, with TensorRT's log

    const std::string path;
    const Options options;
    const int device;  // the number of its GPU
    const Runtime runtime;
    Book book;  // outlives what logs to it
    std::vector<Edge> inputs, outputs;
    std::vector<Profile> profiles;
    bool control_flow = false, streams_weights = false;
    std::string gpu;

  private:
    void find_gpu();
    void load_plugins();
    void check_made_for(const Sidecar& sidecar) const;
    void deserialize(const std::string& bytes);
    void stream_weights();
    void read_edges();
    void match(const Sidecar& sidecar);
    void check_sizes(const Sidecar& sidecar) const;
    std::vector<Profile> own_profiles() const;
    bool names_control_flow() const;

    std::string capability_;
    std::unique_ptr<nvinfer1::IRuntime> started_;
    std::unique_ptr<nvinfer1::ICudaEngine> raw_;
};

}  // namespace onepass::tensorrt

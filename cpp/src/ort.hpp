// The ONNX Runtime library, opened by name and called through its table of C functions. Its headers are not needed.
#pragma once

#include <cstdint>
#include <memory>

#include "library.hpp"
#include "onepass/onepass.hpp"

namespace onepass::ort {

// Indices of functions in OrtApi (onnxruntime_c_api.h). New versions only append functions.
enum Slot : std::size_t {
    get_error_code = 1,
    get_error_message = 2,
    create_env = 3,
    create_session = 7,
    create_session_from_array = 8,
    run = 9,
    create_session_options = 10,
    set_log_severity = 22,
    set_optimization = 23,
    set_threads = 24,
    session_input_count = 30,
    session_output_count = 31,
    session_input_type = 33,
    session_output_type = 34,
    session_input_name = 36,
    session_output_name = 37,
    create_tensor = 48,
    create_tensor_with_data = 49,
    tensor_data = 51,
    fill_strings = 52,
    strings_length = 53,
    strings_content = 54,
    cast_type_to_tensor = 55,
    type_kind = 56,
    element_type = 60,
    dims_count = 61,
    dims = 62,
    symbolic_dims = 63,
    tensor_type_and_shape = 65,
    create_cpu_memory_info = 69,
    allocator_free = 76,
    default_allocator = 78,
    release_env = 92,
    release_status = 93,
    release_memory_info = 94,
    release_session = 95,
    release_value = 96,
    release_type = 98,
    release_tensor_type = 99,
    release_session_options = 100,
    add_session_entry = 130,
};

constexpr std::uint32_t kApiVersion = 12;
constexpr int kQuiet = 4;  // log nothing below "fatal": errors are thrown as exceptions
struct Api {
    const void* const* (*get)(std::uint32_t);
    const char* (*version)();
};

struct Failure {  // an ONNX Runtime status other than OK
    int code;
    std::string text;
};

// The library and its environment. Objects created by it must keep it alive.
class Ort {
  public:
    explicit Ort(const std::string& runtime)
        : library_("ONNX Runtime", runtime.empty() ? usual_names() : std::vector<std::string>{runtime}) {
        const Api* base = library_.get<const Api*()>("OrtGetApiBase")();
        version_ = base->version();
        table_ = base->get(kApiVersion);
        if (!table_) throw BackendError("ONNX Runtime " + version_ + " is too old; onepass requires 1.12 or later");
        must(create_env, kQuiet, "onepass", &env);
        must(create_cpu_memory_info, 1, 0, &memory);  // OrtDeviceAllocator, OrtMemTypeDefault: ordinary memory
        must(default_allocator, &allocator);
    }
    ~Ort() {
        if (memory) call(release_memory_info, memory);
        if (env) call(release_env, env);
    }
    Ort(const Ort&) = delete;
    Ort& operator=(const Ort&) = delete;

    const std::string& version() const { return version_; }

    template <class... A>
    void* call(Slot slot, A... arguments) const noexcept {
        return reinterpret_cast<void* (*)(A...)>(const_cast<void*>(table_[slot]))(arguments...);
    }
    template <class... A>
    void must(Slot slot, A... arguments) const {  // throws Failure
        void* status = call(slot, arguments...);
        if (!status) return;
        const auto code = reinterpret_cast<int (*)(void*)>(const_cast<void*>(table_[get_error_code]))(status);
        Failure failure{code, static_cast<const char*>(call(get_error_message, status))};
        call(release_status, status);
        throw failure;
    }
    // Creates an object with the function `make`; the function `release` destroys it.
    template <class... A>
    std::shared_ptr<void> made(Slot release, Slot make, A... arguments) const {
        void* made = nullptr;
        must(make, arguments..., &made);
        return {made, [this, release](void* p) { call(release, p); }};
    }

    void* env = nullptr;
    void* memory = nullptr;
    void* allocator = nullptr;

  private:
    static std::vector<std::string> usual_names() {
#if defined(_WIN32)
        return {"onnxruntime.dll"};
#elif defined(__APPLE__)
        return {"libonnxruntime.1.dylib", "libonnxruntime.dylib"};
#else
        return {"libonnxruntime.so.1", "libonnxruntime.so"};
#endif
    }

    Library library_;
    const void* const* table_ = nullptr;
    std::string version_;
};

}  // namespace onepass::ort

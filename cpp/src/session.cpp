// A session: the model's format found out by content, inputs checked, outputs by name.
#include <filesystem>
#include <fstream>
#include <numeric>

#include "backend.hpp"
#include "inputs.hpp"
#include "names.hpp"

namespace onepass {
namespace {

bool is_engine(const std::string& path) {
    std::ifstream file(std::filesystem::u8path(path), std::ios::binary);
    if (!file) throw ModelNotFoundError("no model file at " + path);
    char mark[4] = {};
    file.read(mark, sizeof mark);
    const std::string_view found(mark, static_cast<std::size_t>(file.gcount()));
    if (found.empty()) throw ModelFormatError(path + " is empty; copy it again");
    // A sidecar says that it is an engine, whatever mark a later TensorRT may put at the beginning.
    const auto beside = [&](const char* ending) {
        return std::filesystem::exists(std::filesystem::u8path(path + ending));
    };
    return found == "ptrt" || found == "vtrt" || beside(".json") || beside(".json.new");
}

std::unique_ptr<Backend> opened(const std::string& path, const Options& options) {
    if (std::filesystem::is_directory(std::filesystem::u8path(path)))
        throw ModelFormatError(path + " is a folder; onepass::load opens ONNX models and TensorRT engines");
    if (options.contexts < 1)
        throw InputError("contexts takes a whole number from 1 up, got " + std::to_string(options.contexts));
    if (options.threads < 1)
        throw InputError("threads takes a whole number from 1 up, got " + std::to_string(options.threads));
    return is_engine(path) ? open_engine(path, options) : open_onnx(path, options);
}

}  // namespace

struct Session::Impl {
    std::unique_ptr<Backend> backend;
    std::vector<std::size_t> all;  // numbers of all outputs

    Impl(const std::string& path, const Options& options)
        : backend(opened(path, options)), all(backend->outputs().size()) {
        std::iota(all.begin(), all.end(), std::size_t{0});
    }
};

Session::Session(const std::string& path, Options options) : impl_(std::make_shared<Impl>(path, options)) {}

const std::vector<TensorSpec>& Session::inputs() const noexcept { return impl_->backend->inputs(); }
const std::vector<TensorSpec>& Session::outputs() const noexcept { return impl_->backend->outputs(); }
std::string Session::report() const { return impl_->backend->report(); }

Outputs Session::run(const Inputs& inputs) const {
    return Outputs(impl_->backend->run(checked_inputs(impl_->backend->inputs(), inputs), impl_->all));
}

Outputs Session::run(const Inputs& inputs, const Names& wanted) const {
    const std::vector<std::size_t> numbers = checked_names(impl_->backend->outputs(), wanted);
    const std::vector<const Input*> feeds = checked_inputs(impl_->backend->inputs(), inputs);
    return Outputs(numbers.empty() ? std::vector<Tensor>{} : impl_->backend->run(feeds, numbers));
}

}  // namespace onepass

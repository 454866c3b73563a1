// ONNX Runtime: runs ONNX models.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <list>
#include <mutex>

#include "backend.hpp"
#include "names.hpp"
#include "ort.hpp"
#include "part.hpp"

namespace onepass {
namespace {

using namespace ort;  // the names of its slots

constexpr std::size_t kMostParts = 8;  // of a model, that sessions are kept of
constexpr int kTensor = 1, kSequence = 2, kMap = 3, kOpaque = 4, kSparse = 5, kOptional = 6;
// How much ONNX Runtime rewrites a graph, from most to least: its optimiser makes some valid models invalid.
struct Level {
    int number;
    const char* name;
};
constexpr Level kLevels[] = {{99, "all"}, {1, "basic"}, {0, "none"}};

struct Type {
    int number;
    Dtype dtype;
};
constexpr Type kTypes[] = {
    {1, Dtype::float32},      {2, Dtype::uint8},           {3, Dtype::int8},           {4, Dtype::uint16},
    {5, Dtype::int16},        {6, Dtype::int32},           {7, Dtype::int64},          {8, Dtype::string},
    {9, Dtype::boolean},      {10, Dtype::float16},        {11, Dtype::float64},       {12, Dtype::uint32},
    {13, Dtype::uint64},      {16, Dtype::bfloat16},       {17, Dtype::float8_e4m3fn}, {18, Dtype::float8_e4m3fnuz},
    {19, Dtype::float8_e5m2}, {20, Dtype::float8_e5m2fnuz}};

int number_of(Dtype dtype) {
    return std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Type& each) { return each.dtype == dtype; })
        ->number;
}

// What is known of one input or output.
struct Found {
    TensorSpec spec;
    std::string kind;  // of what is no dense tensor that can be moved; empty where it is one
};

std::string kind_text(int kind) {
    switch (kind) {
        case kSequence:
            return "sequence";
        case kMap:
            return "map";
        case kOpaque:
            return "opaque value";
        case kSparse:
            return "sparse tensor";
        case kOptional:
            return "optional";
        default:
            return "value of an unknown kind";
    }
}

bool names_a_size(const std::string& dim) {  // exporters write the others for every size that they do not know
    return !dim.empty() && dim != "?" && dim != "-1" && dim.rfind("unk__", 0) != 0;
}

Shape shape_in(const Ort& ort, void* info) {
    std::size_t rank = 0;
    ort.must(dims_count, info, &rank);
    std::vector<std::int64_t> sizes(rank);
    ort.must(dims, info, sizes.data(), rank);
    return Shape(std::move(sizes));
}

Found found_at(const Ort& ort, void* session, std::size_t index, Slot name_slot, Slot type_slot) {
    char* text = nullptr;
    ort.must(name_slot, session, index, ort.allocator, &text);
    Found found;
    found.spec.name = text;
    ort.call(allocator_free, ort.allocator, static_cast<void*>(text));
    const auto type = ort.made(release_type, type_slot, session, index);
    int kind = 0, element = 0;
    ort.must(type_kind, type.get(), &kind);
    if (kind != kTensor) return found.kind = kind_text(kind), found;
    const void* info = nullptr;  // a part of the type
    ort.must(cast_type_to_tensor, type.get(), &info);
    ort.must(element_type, info, &element);
    const auto known =
        std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Type& each) { return each.number == element; });
    if (known == std::end(kTypes)) return found.kind = "tensor of ONNX's type " + std::to_string(element), found;
    found.spec.dtype = known->dtype;
    found.spec.shape = shape_in(ort, const_cast<void*>(info));
    // It says [] of a scalar and of an unknown rank alike; which one it is, its own check knows.
    found.spec.has_rank = found.spec.shape.rank() > 0;
    std::vector<const char*> names(found.spec.shape.rank());
    ort.must(symbolic_dims, info, names.data(), names.size());
    for (const char* each : names) found.spec.dim_names.emplace_back(each && names_a_size(each) ? each : "");
    return found;
}

[[noreturn]] void refuse(const Failure& failure, const std::string& path, const std::string& version) {
    constexpr int fail = 1, invalid_argument = 2, no_such_file = 3, no_model = 4, invalid_protobuf = 7;
    constexpr int not_implemented = 9, invalid_graph = 10, provider_failed = 11;
    const std::string prepare = "ONNX Runtime " + version + " cannot prepare " + path + ": " + failure.text;
    switch (failure.code) {
        case no_such_file:
        case no_model:
        case invalid_protobuf:
            throw ModelFormatError(path + " is not a valid ONNX model: ONNX Runtime cannot read it: " + failure.text);
        case fail:
        case invalid_argument:
        case not_implemented:
        case invalid_graph:
            throw UnsupportedModelError(prepare);
        case provider_failed:
            throw DeviceError(prepare);
        default:
            throw BackendError(prepare);
    }
}

// What tells a file from one that took its place.
using Stamp = std::pair<std::uintmax_t, std::filesystem::file_time_type>;
Stamp stamp_of(const std::string& path) {
    const auto file = std::filesystem::u8path(path);
    std::error_code ignored;
    return {std::filesystem::file_size(file, ignored), std::filesystem::last_write_time(file, ignored)};
}

class OnnxRuntime final : public Backend {
  public:
    OnnxRuntime(const std::string& path, const Options& options) try
        : ort_(std::make_shared<Ort>(options.runtime)), path_(path), stamp_(stamp_of(path)), threads_(options.threads) {
        session_ = prepare([&](void* settings) {
            const auto file = std::filesystem::u8path(path);
            return ort_->made(release_session, create_session, ort_->env, file.c_str(), settings);
        });
        describe(path);
    } catch (const Failure& failure) { throw BackendError("ONNX Runtime failed: " + failure.text); }

    std::vector<Tensor> run(const Request& request) override {
        const auto& [feeds, wanted] = std::tie(request.feeds, request.wanted);
        std::vector<const char*> input_names, output_names;
        for (const TensorSpec& spec : inputs_) input_names.push_back(spec.name.c_str());
        for (const std::size_t number : wanted) output_names.push_back(outputs_[number].name.c_str());
        try {
            std::vector<std::shared_ptr<void>> kept;
            std::vector<const void*> values;
            for (const Input* feed : feeds) values.push_back(kept.emplace_back(value_of(*feed)).get());
            std::vector<void*> raw(wanted.size());
            const void* no_options = nullptr;
            const std::shared_ptr<void> session = session_for(wanted);
            ort_->must(Slot::run, session.get(), no_options, static_cast<const char* const*>(input_names.data()),
                       static_cast<const void* const*>(values.data()), values.size(),
                       static_cast<const char* const*>(output_names.data()), raw.size(), raw.data());
            std::vector<std::shared_ptr<void>> results;
            for (void* each : raw) results.emplace_back(each, [ort = ort_](void* p) { ort->call(release_value, p); });
            std::vector<Tensor> tensors;
            for (std::size_t i = 0; i < wanted.size(); ++i)
                tensors.push_back(tensor_of(outputs_[wanted[i]], results[i], feeds));
            return tensors;
        } catch (const Failure& failure) { fail(failure, feeds); }
    }

    std::string report() const override {
        return "ONNX Runtime " + ort_->version() + "\nthreads " + std::to_string(threads_) + "\noptimize " + level_;
    }

  private:
    // The session of a part of the model, once it is prepared.
    struct Part {
        std::vector<std::size_t> wanted;
        std::mutex mutex;
        std::shared_ptr<void> session;
    };

    // Prepares a session with as much optimisation as the model stands.
    template <class F>
    std::shared_ptr<void> prepare(F make) {
        Failure first{};
        for (const Level& level : kLevels) {
            const auto settings = ort_->made(release_session_options, create_session_options);
            ort_->must(set_log_severity, settings.get(), kQuiet);
            ort_->must(set_threads, settings.get(), threads_);
            ort_->must(set_optimization, settings.get(), level.number);
            try {
                std::shared_ptr<void> session = make(settings.get());
                if (level_.empty()) level_ = level.name;
                return session;
            } catch (const Failure& failure) {
                if (first.text.empty()) first = failure;
            }
        }
        refuse(first, path_, ort_->version());
    }

    // The session that computes some outputs, and not much else; the first to ask for them prepares it.
    std::shared_ptr<void> session_for(const std::vector<std::size_t>& wanted) {
        if (wanted.size() == outputs_.size()) return session_;
        std::shared_ptr<Part> part;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            const auto same = [&](const auto& each) { return each->wanted == wanted; };
            const auto found = std::find_if(parts_.begin(), parts_.end(), same);
            if (found != parts_.end()) {
                parts_.splice(parts_.begin(), parts_, found);
            } else {
                parts_.push_front(std::make_shared<Part>());
                parts_.front()->wanted = wanted;
            }
            if (parts_.size() > kMostParts) parts_.pop_back();
            part = parts_.front();
        }
        const std::lock_guard<std::mutex> lock(part->mutex);
        if (!part->session) part->session = prepared_part(wanted);
        return part->session;
    }

    std::shared_ptr<void> prepared_part(const std::vector<std::size_t>& wanted) {
        std::vector<std::string> names;
        for (const std::size_t number : wanted) names.push_back(outputs_[number].name);
        if (stamp_of(path_) != stamp_) return session_;  // another model may lie there by now
        const auto file = std::filesystem::absolute(std::filesystem::u8path(path_));
        std::ifstream stream(file, std::ios::binary);
        const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
        const std::optional<std::string> part = part_of(bytes, names);
        if (!part) return session_;
        const std::string folder = file.parent_path().u8string();
        try {
            return prepare([&](void* settings) {
                ort_->must(add_session_entry, settings, "session.model_external_initializers_file_folder_path",
                           folder.c_str());
                return ort_->made(release_session, create_session_from_array, ort_->env,
                                  static_cast<const void*>(part->data()), part->size(), settings);
            });
        } catch (const Error&) {  // an older ONNX Runtime that does not find weights beside the file, for example
            return session_;
        }
    }

    void describe(const std::string& path) {
        std::size_t count = 0;
        ort_->must(session_input_count, session_.get(), &count);
        for (std::size_t i = 0; i < count; ++i) {
            Found found = found_at(*ort_, session_.get(), i, session_input_name, session_input_type);
            if (!found.kind.empty()) refuse_kind(found, path);
            inputs_.push_back(std::move(found.spec));
        }
        ort_->must(session_output_count, session_.get(), &count);
        std::vector<Found> left_out;
        for (std::size_t i = 0; i < count; ++i) {
            Found found = found_at(*ort_, session_.get(), i, session_output_name, session_output_type);
            const auto same = [&](const TensorSpec& spec) { return spec.name == found.spec.name; };
            if (!found.kind.empty())
                left_out.push_back(std::move(found));
            else if (std::none_of(outputs_.begin(), outputs_.end(), same))
                outputs_.push_back(std::move(found.spec));
        }
        if (outputs_.empty() && !left_out.empty()) refuse_kind(left_out[0], path);
    }

    [[noreturn]] static void refuse_kind(const Found& found, const std::string& path) {
        throw UnsupportedModelError(path + ": " + in_quotes(found.spec.name) + " is a " + found.kind +
                                    "; onepass supports only dense tensors with element types of at least eight bits");
    }

    std::shared_ptr<void> value_of(const Input& input) const {
        const std::vector<std::int64_t>& sizes = input.shape().sizes();
        const std::size_t count = input.shape().count();
        if (input.dtype() != Dtype::string)
            return ort_->made(release_value, create_tensor_with_data, static_cast<const void*>(ort_->memory),
                              const_cast<void*>(input.data()), count * size_of(input.dtype()), sizes.data(),
                              sizes.size(), number_of(input.dtype()));
        auto value = ort_->made(release_value, create_tensor, ort_->allocator, sizes.data(), sizes.size(),
                                number_of(Dtype::string));
        std::vector<const char*> texts;
        const auto* strings = static_cast<const std::string*>(input.data());
        for (std::size_t i = 0; i < count; ++i) texts.push_back(strings[i].c_str());
        ort_->must(fill_strings, value.get(), static_cast<const char* const*>(texts.data()), count);
        return value;
    }

    Tensor tensor_of(const TensorSpec& spec, const std::shared_ptr<void>& value,
                     const std::vector<const Input*>& feeds) const {
        const auto info = ort_->made(release_tensor_type, tensor_type_and_shape, value.get());
        const Shape shape = shape_in(*ort_, info.get());
        if (spec.dtype == Dtype::string) {
            auto strings = strings_in(value.get(), shape.count());
            const void* data = strings->data();
            return {spec.name, spec.dtype, shape, std::move(strings), data};
        }
        void* data = nullptr;
        ort_->must(tensor_data, value.get(), &data);
        const auto is_its_own = [&](const Input* feed) { return feed->data() == data && data; };
        if (std::none_of(feeds.begin(), feeds.end(), is_its_own)) return {spec.name, spec.dtype, shape, value, data};
        // Older versions return the very memory of an input for an output that is that input.
        const auto* from = static_cast<const std::byte*>(data);
        auto copy = std::make_shared<std::vector<std::byte>>(from, from + shape.count() * size_of(spec.dtype));
        data = copy->data();
        return {spec.name, spec.dtype, shape, std::move(copy), data};
    }

    std::shared_ptr<std::vector<std::string>> strings_in(void* value, std::size_t count) const {
        std::size_t length = 0;
        ort_->must(strings_length, value, &length);
        std::string content(length, '\0');
        std::vector<std::size_t> starts(count);
        ort_->must(strings_content, value, static_cast<void*>(content.data()), length, starts.data(), count);
        auto strings = std::make_shared<std::vector<std::string>>();
        for (std::size_t i = 0; i < count; ++i)
            strings->push_back(content.substr(starts[i], (i + 1 < count ? starts[i + 1] : length) - starts[i]));
        return strings;
    }

    [[noreturn]] void fail(const Failure& failure, const std::vector<const Input*>& feeds) const {
        std::vector<std::string> came;
        for (std::size_t i = 0; i < feeds.size(); ++i)
            came.push_back(inputs_[i].name + " " + std::string(name(feeds[i]->dtype())) + to_string(feeds[i]->shape()));
        const std::string text =
            "ONNX Runtime failed on " + (came.empty() ? "no inputs" : listed(came)) + ": " + failure.text;
        constexpr int invalid_argument = 2;
        if (failure.code == invalid_argument) throw InputError(text);
        throw BackendError(text);
    }

    std::shared_ptr<Ort> ort_;  // before what it releases
    const std::string path_;
    const Stamp stamp_;
    const int threads_;
    std::shared_ptr<void> session_;
    std::string level_;
    std::mutex mutex_;
    std::list<std::shared_ptr<Part>> parts_;  // the one used last is first
};

}  // namespace

std::unique_ptr<Backend> open_onnx(const std::string& path, const Options& options) {
    return std::make_unique<OnnxRuntime>(path, options);
}

}  // namespace onepass

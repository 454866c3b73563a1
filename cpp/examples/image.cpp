// Pictures, a video or a camera through a network: onepass-image model.engine picture.png --into results
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>
#include <onepass/onepass.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>

#include "npy.hpp"

namespace {

constexpr const char* kUsage =
    "usage: onepass-image MODEL PICTURE ... [--batch 1] [--range 0,1] [--bgr] [--into FOLDER] [--runtime LIBRARY]\n"
    "       onepass-image MODEL --live CAMERA|VIDEO [--frames N] ...\n"
    "Runs an engine (onepass build MODEL.onnx -o MODEL.engine) or an ONNX model on pictures, --batch of them a pass, "
    "and\n"
    "prints every output by its name; --into writes FOLDER/0-0.npy …, the pass and then the output. --live takes the\n"
    "frames of a camera, by its number, or of a video; the next is made ready while the network works on one. --range "
    "is\n"
    "what black and white become in an input of floats; --bgr is for networks that take blue first.\n";

struct Wishes {
    std::string model, live, into;
    std::vector<std::string> pictures;
    std::size_t batch = 1, frames = 0;
    double black = 0, white = 1;
    bool bgr = false;
    onepass::Options options;
};

Wishes wishes_of(const std::vector<std::string>& words) {
    Wishes wishes;
    wishes.model = words[0];
    for (std::size_t i = 1; i < words.size(); ++i) {
        const bool more = i + 1 < words.size();
        if (words[i] == "--batch" && more)
            wishes.batch = std::max<std::size_t>(std::stoul(words[++i]), 1);
        else if (words[i] == "--range" && more) {
            const std::string range = words[++i];
            wishes.black = std::stod(range);
            wishes.white = std::stod(range.substr(range.find(',') + 1));
        } else if (words[i] == "--bgr")
            wishes.bgr = true;
        else if (words[i] == "--live" && more)
            wishes.live = words[++i];
        else if (words[i] == "--frames" && more)
            wishes.frames = std::stoul(words[++i]);
        else if (words[i] == "--into" && more)
            wishes.into = words[++i];
        else if (words[i] == "--runtime" && more)
            wishes.options.runtime = words[++i];
        else
            wishes.pictures.push_back(words[i]);
    }
    return wishes;
}

// How the model's one input holds pictures: [N, C, H, W] or [N, H, W, C], of one channel or three.
class Layout {
  public:
    Layout(const onepass::Session& session, const Wishes& wishes) : wishes_(wishes) {
        const auto channels = [](std::int64_t size) { return size == 1 || size == 3; };
        if (session.inputs().size() == 1) spec_ = session.inputs()[0];
        const onepass::Shape& shape = spec_.shape;
        const bool fits = shape.rank() == 4 && (spec_.dtype == onepass::Dtype::float32 || is_uint8());
        is_first_ = fits && channels(shape[1]);
        if (!fits || !(is_first_ || channels(shape[3])))
            throw std::runtime_error(
                "expected a model with one input of pictures, uint8 or float32 [N, 3, H, W] or "
                "[N, H, W, 3], or with 1 in place of 3");
        channels_ = static_cast<int>(is_first_ ? shape[1] : shape[3]);
        height_ = is_first_ ? shape[2] : shape[1];
        width_ = is_first_ ? shape[3] : shape[2];
    }

    // Puts a picture of OpenCV's behind those in the batch.
    void add(cv::Mat picture, const std::string& name) {
        const cv::Size size(width_ < 0 ? picture.cols : static_cast<int>(width_),
                            height_ < 0 ? picture.rows : static_cast<int>(height_));
        if (count_ > 0 && size != size_)
            throw std::runtime_error(name + " is of another size than the picture before; batches take one");
        size_ = size;
        if (picture.size() != size)
            cv::resize(picture, picture, size, 0, 0, size.width < picture.cols ? cv::INTER_AREA : cv::INTER_LINEAR);
        if (channels_ == 1)
            cv::cvtColor(picture, picture, cv::COLOR_BGR2GRAY);
        else if (!wishes_.bgr)
            cv::cvtColor(picture, picture, cv::COLOR_BGR2RGB);
        if (!picture.isContinuous()) picture = picture.clone();
        const std::size_t plane = static_cast<std::size_t>(size.area()), depth = static_cast<std::size_t>(channels_);
        const auto scale = static_cast<float>((wishes_.white - wishes_.black) / 255);
        const auto black = static_cast<float>(wishes_.black);
        const auto put = [&](auto& values, auto made) {
            const std::size_t start = values.size();
            values.resize(start + plane * depth);
            for (std::size_t i = 0; i < plane * depth; ++i) {
                const std::size_t at = is_first_ ? i % depth * plane + i / depth : i;
                values[start + at] = made(picture.data[i]);
            }
        };
        if (is_uint8())
            put(bytes_, [](unsigned char pixel) { return pixel; });
        else
            put(floats_, [&](unsigned char pixel) { return static_cast<float>(pixel) * scale + black; });
        ++count_;
    }
    std::size_t count() const { return count_; }

    onepass::Inputs inputs() const {
        const auto n = static_cast<std::int64_t>(count_);
        const onepass::Shape shape = is_first_ ? onepass::Shape{n, channels_, size_.height, size_.width}
                                               : onepass::Shape{n, size_.height, size_.width, channels_};
        return {
            {spec_.name, is_uint8() ? onepass::Input(bytes_.data(), shape) : onepass::Input(floats_.data(), shape)}};
    }

  private:
    bool is_uint8() const { return spec_.dtype == onepass::Dtype::uint8; }

    const Wishes& wishes_;
    onepass::TensorSpec spec_;
    bool is_first_ = false;
    int channels_ = 0;
    std::int64_t height_ = -1, width_ = -1;
    cv::Size size_;
    std::size_t count_ = 0;
    std::vector<unsigned char> bytes_;
    std::vector<float> floats_;
};

void show(const onepass::Outputs& outputs, std::size_t number, const std::string& into) {
    std::printf("pass %zu", number);
    std::size_t index = 0;
    for (const onepass::Tensor& each : outputs) {
        std::printf("%s %s: %s %s", index ? "," : ":", each.name().c_str(), std::string(name(each.dtype())).c_str(),
                    to_string(each.shape()).c_str());
        if (!into.empty()) npy::write(into + "/" + std::to_string(number) + "-" + std::to_string(index) + ".npy", each);
        ++index;
    }
    std::printf("\n");
}

void run_pictures(const onepass::Session& session, const Wishes& wishes) {
    std::size_t number = 0;
    for (std::size_t start = 0; start < wishes.pictures.size(); start += wishes.batch) {
        Layout batch(session, wishes);
        for (std::size_t i = start; i < std::min(start + wishes.batch, wishes.pictures.size()); ++i) {
            const cv::Mat picture = cv::imread(wishes.pictures[i], cv::IMREAD_COLOR);  // upright, as EXIF says
            if (picture.empty()) throw std::runtime_error(wishes.pictures[i] + " holds no picture that OpenCV reads");
            batch.add(picture, wishes.pictures[i]);
        }
        show(session.run(batch.inputs()), number++, wishes.into);
    }
}

void run_live(const onepass::Session& session, const Wishes& wishes) {
    const bool is_number = wishes.live.find_first_not_of("0123456789") == std::string::npos;
    cv::VideoCapture source;
    if (!(is_number ? source.open(std::stoi(wishes.live)) : source.open(wishes.live)))
        throw std::runtime_error(wishes.live + " is no camera and no video that OpenCV opens");
    const auto begun = std::chrono::steady_clock::now();
    std::future<onepass::Outputs> pending;
    std::size_t number = 0;
    const auto finish = [&] {
        if (pending.valid()) show(pending.get(), number++, wishes.into);
    };
    cv::Mat frame;
    for (std::size_t read = 0; (wishes.frames == 0 || read < wishes.frames) && source.read(frame); ++read) {
        auto ready = std::make_shared<Layout>(session, wishes);
        ready->add(frame, wishes.live);
        finish();
        pending = std::async(std::launch::async, [&session, ready] { return session.run(ready->inputs()); });
    }
    finish();
    if (number == 0) throw std::runtime_error(wishes.live + " gives no frame that OpenCV reads");
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    std::printf("%zu frames, %.1f a second\n", number, static_cast<double>(number) / seconds);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 3) return std::fputs(kUsage, stderr), 2;
        const Wishes wishes = wishes_of({argv + 1, argv + argc});
        const onepass::Session session = onepass::load(wishes.model, wishes.options);
        if (!wishes.into.empty()) std::filesystem::create_directories(wishes.into);
        wishes.live.empty() ? run_pictures(session, wishes) : run_live(session, wishes);
        return 0;
    } catch (const std::exception& error) { return std::fprintf(stderr, "%s\n", error.what()), 1; }
}

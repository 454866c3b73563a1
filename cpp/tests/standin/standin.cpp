// A GPU of the mind: work is queued and done when the host waits; addresses of the GPU cannot be read by the host.
#include "standin.hpp"

#include <NvInferRuntime.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <thread>
#include <vector>
namespace standin {
State& state() {
    static State s;
    return s;
}
}  // namespace standin
using standin::state;
namespace {
constexpr std::uintptr_t kGpu = std::uintptr_t{1} << 62;  // no host can read there: a slip is a crash
std::mutex blocks_mutex;
struct Span {
    std::size_t bytes;
    int device;
};
std::map<std::uintptr_t, Span> gpu_blocks, host_blocks;
bool inside(std::map<std::uintptr_t, Span>& blocks, const void* p, std::size_t n, int* device = nullptr) {
    const std::lock_guard<std::mutex> lock(blocks_mutex);
    const auto a = reinterpret_cast<std::uintptr_t>(p);
    auto it = blocks.upper_bound(a);
    if (it == blocks.begin()) return false;
    --it;
    if (device) *device = it->second.device;
    return a >= it->first && a + n <= it->first + it->second.bytes;
}
void* real(const void* p) { return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(p) & ~kGpu); }
thread_local int current = 0;
thread_local StandinStream* capturing = nullptr;
}  // namespace
using Work = std::function<void()>;
struct StandinStream {
    std::deque<Work> queue;
    std::vector<Work>* recording = nullptr;
    std::vector<Work> recorded;
    bool broken = false;
    int device = current;
    std::mutex m;                      // of the queue
    std::atomic<bool> at_work{false};  // whether somebody does what is in it
};
// One stream may wait for another in the middle of its work, and the other for an earlier place in it: no mutexes.
struct AtWork {
    explicit AtWork(StandinStream& s) : stream(s) {
        while (stream.at_work.exchange(true)) std::this_thread::yield();
    }
    ~AtWork() { stream.at_work = false; }
    AtWork(const AtWork&) = delete;
    AtWork& operator=(const AtWork&) = delete;
    StandinStream& stream;
};
// What an event stands for: a place in a stream's queue, which is passed or not.
struct Mark {
    std::shared_ptr<StandinStream> stream;
    std::atomic<bool> passed{false};
};
struct StandinEvent {
    std::mutex m;
    std::shared_ptr<Mark> mark;
    int device = current;
};
struct StandinGraph {
    std::vector<Work> work;
};
struct StandinExec {
    std::vector<Work> work;
};
namespace {
std::mutex streams_mutex;
std::map<StandinStream*, std::shared_ptr<StandinStream>> streams;  // an event may outlive the stream it was recorded in
std::shared_ptr<StandinStream> kept(StandinStream* s) {
    const std::lock_guard<std::mutex> lock(streams_mutex);
    if (!s) {  // the thread's GPU has a stream of its own
        static std::map<int, std::shared_ptr<StandinStream>> own;
        auto& found = own[current];
        if (!found) found = std::make_shared<StandinStream>();
        return found;
    }
    const auto found = streams.find(s);
    return found == streams.end() ? nullptr : found->second;
}
bool step(StandinStream& s) {  // does the next of what is queued; false where nothing is
    Work next;
    {
        const std::lock_guard<std::mutex> lock(s.m);
        if (s.queue.empty()) return false;
        next = std::move(s.queue.front());
        s.queue.pop_front();
    }
    next();
    return true;
}
}  // namespace
static void push(cudaStream_t s, Work w) {
    const std::lock_guard<std::mutex> lock(s->m);
    if (s->recording)
        s->recording->push_back(std::move(w));
    else
        s->queue.push_back(std::move(w));
}
static void drain(cudaStream_t s) {
    const AtWork turn(*s);
    const int now = ++state().at_once;
    for (int most = state().most_at_once; now > most && !state().most_at_once.compare_exchange_weak(most, now);) {}
    while (step(*s)) {}
    --state().at_once;
}
static void pass(Mark& mark) {
    while (!mark.passed) {
        const AtWork turn(*mark.stream);
        if (!mark.passed && !step(*mark.stream)) std::abort();
    }
}
#define FAILS(code)                               \
    do {                                          \
        if (state().fails(__func__)) return code; \
    } while (false)
extern "C" {
cudaError_t cudaGetDevice(int* d) {
    *d = current;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int d) {
    FAILS(cudaErrorInvalidDevice);
    current = d;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* n) {
    *n = state().gpus;
    return state().gpus ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
    *p = {"Stand-in GPU", 9, 0};
    return cudaSuccess;
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorName(cudaError_t e) {
    return e == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaErrorOfTheStandin";
}
const char* cudaGetErrorString(cudaError_t e) {
    return e == cudaErrorMemoryAllocation ? "out of memory"
           : e == cudaErrorNoDevice       ? "no CUDA-capable device is detected"
                                          : "a slip";
}
cudaError_t cudaMalloc(void** p, std::size_t n) {
    FAILS(cudaErrorMemoryAllocation);
    if (capturing) {
        capturing->broken = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    void* m = std::aligned_alloc(256, (n + 255) / 256 * 256);
    std::memset(m, 0xCD, n);
    *p = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(m) | kGpu);
    const std::lock_guard<std::mutex> lock(blocks_mutex);
    gpu_blocks[reinterpret_cast<std::uintptr_t>(*p)] = {n, current};
    ++state().device_blocks;
    return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
    if (!p) return cudaSuccess;
    {
        const std::lock_guard<std::mutex> lock(blocks_mutex);
        if (!gpu_blocks.erase(reinterpret_cast<std::uintptr_t>(p))) std::abort();
    }
    std::free(real(p));
    --state().device_blocks;
    return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** p, std::size_t n, unsigned) {
    FAILS(cudaErrorMemoryAllocation);
    *p = std::aligned_alloc(256, (n + 255) / 256 * 256);
    const std::lock_guard<std::mutex> lock(blocks_mutex);
    host_blocks[reinterpret_cast<std::uintptr_t>(*p)] = {n, 0};
    ++state().host_blocks;
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void* p) {
    if (!p) return cudaSuccess;
    {
        const std::lock_guard<std::mutex> lock(blocks_mutex);
        if (!host_blocks.erase(reinterpret_cast<std::uintptr_t>(p))) std::abort();
    }
    std::free(p);
    --state().host_blocks;
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t n, cudaMemcpyKind kind, cudaStream_t s) {
    FAILS(cudaErrorInvalidValue);
    const bool to_gpu = kind != cudaMemcpyDeviceToHost, from_gpu = kind != cudaMemcpyHostToDevice;
    if (!s || (to_gpu && !inside(gpu_blocks, to, n)) || (from_gpu && !inside(gpu_blocks, from, n)))
        return cudaErrorInvalidValue;
    if (s->recording && ((!to_gpu && !inside(host_blocks, to, n)) || (!from_gpu && !inside(host_blocks, from, n)))) {
        s->broken = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    push(s, [=] { std::memcpy(real(to), real(from), n); });
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) {
    FAILS(cudaErrorMemoryAllocation);
    const auto fresh = std::make_shared<StandinStream>();
    *s = fresh.get();
    const std::lock_guard<std::mutex> lock(streams_mutex);
    streams[*s] = fresh;
    ++state().streams;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s) {
    const std::lock_guard<std::mutex> lock(streams_mutex);
    streams.erase(s);
    --state().streams;
    return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t s) {
    const std::lock_guard<std::mutex> lock(s->m);
    return s->queue.empty() ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* status) {
    *status = kept(s)->recording ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
    FAILS(cudaErrorMemoryAllocation);
    *e = new StandinEvent;
    ++state().events;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e) {
    delete e;
    --state().events;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
    FAILS(cudaErrorInvalidValue);
    const auto stream = kept(s);
    if (!stream || stream->device != e->device) return cudaErrorInvalidResourceHandle;
    const auto mark = std::make_shared<Mark>();
    mark->stream = stream;
    push(stream.get(), [mark] { mark->passed = true; });
    const std::lock_guard<std::mutex> lock(e->m);
    e->mark = mark;
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
    FAILS(cudaErrorInvalidValue);
    const std::lock_guard<std::mutex> lock(e->m);
    push(kept(s).get(), [mark = e->mark] { pass(*mark); });
    return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* found, const void* p) {
    *found = {cudaMemoryTypeUnregistered, -2};
    if (inside(gpu_blocks, p, 1, &found->device))
        found->type = cudaMemoryTypeDevice;
    else if (inside(host_blocks, p, 1))
        found->type = cudaMemoryTypeHost;
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* all_bytes) {
    if (state().broken == current) return cudaErrorIllegalAddress;
    *free_bytes = *all_bytes = 1 << 30;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
    FAILS(cudaErrorIllegalAddress);
    s = kept(s).get();
    if (state().broken == s->device) return cudaErrorIllegalAddress;
    if (s->recording) {
        s->broken = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    drain(s);
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
    FAILS(cudaErrorInvalidValue);
    s->recorded.clear();
    s->recording = &s->recorded;
    s->broken = false;
    capturing = s;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g) {
    s->recording = nullptr;
    capturing = nullptr;
    *g = nullptr;
    if (state().fails("cudaStreamEndCapture") || s->broken) return cudaErrorStreamCaptureInvalidated;
    *g = new StandinGraph{s->recorded};
    ++state().graphs;
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) {
    FAILS(cudaErrorInvalidValue);
    *e = new StandinExec{g->work};
    ++state().graphs;
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s) {
    FAILS(cudaErrorInvalidValue);
    for (const auto& w : e->work) push(s, w);
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) {
    if (g) {
        delete g;
        --state().graphs;
    }
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) {
    delete e;
    --state().graphs;
    return cudaSuccess;
}
}

// ---- TensorRT: an engine is a few lines of text ---------------------------------------------------------------------
//   standin 110100
//   shared 1                                    (whether contexts share a profile)
//   input eye 0 device -1x3 1x3:2x3:8x3 …       name, type, where, shape, a range for each profile
//   output twice 0 device -1x3 scale eye 2      same shape as its source, times a number
//   output where 3 device -1 nonzero eye        data-dependent: flat indices of what is above zero
namespace nvinfer1 {
namespace {
using Sizes = std::vector<std::int64_t>;
Sizes sizes(const std::string& t) {
    Sizes s;
    if (t == "scalar") return s;
    std::istringstream in(t);
    for (std::string part; std::getline(in, part, 'x');) s.push_back(std::stoll(part));
    return s;
}
Dims dims(const Sizes& s) {
    Dims d{};
    d.nbDims = static_cast<std::int32_t>(s.size());
    for (std::size_t i = 0; i < s.size(); ++i) d.d[i] = static_cast<std::remove_reference_t<decltype(d.d[0])>>(s[i]);
    return d;
}
std::size_t width(int type) { return type == 0 || type == 3 ? 4 : type == 1 || type == 7 ? 2 : type == 8 ? 8 : 1; }
double get(int type, const void* p, std::size_t i) {
    switch (type) {
        case 0:
            return static_cast<const float*>(p)[i];
        case 3:
            return static_cast<const std::int32_t*>(p)[i];
        case 8:
            return static_cast<double>(static_cast<const std::int64_t*>(p)[i]);
        default:
            return static_cast<const std::uint8_t*>(p)[i];
    }
}
void set(int type, void* p, std::size_t i, double v) {
    switch (type) {
        case 0:
            static_cast<float*>(p)[i] = static_cast<float>(v);
            break;
        case 3:
            static_cast<std::int32_t*>(p)[i] = static_cast<std::int32_t>(v);
            break;
        case 8:
            static_cast<std::int64_t*>(p)[i] = static_cast<std::int64_t>(v);
            break;
        default:
            static_cast<std::uint8_t*>(p)[i] = static_cast<std::uint8_t>(v);
    }
}
struct T {
    std::string name;
    bool input = false;
    int type = 0;
    bool host = false;
    Sizes shape;
    std::vector<std::array<Sizes, 3>> ranges;
    std::string op, source;
    double factor = 1;
};
struct Net {
    std::vector<T> tensors;
    bool shared = true, streamable = false;
    std::string layers;
    std::mutex m;
    std::set<std::int32_t> taken;
    ILogger* log = nullptr;
    const T* find(const std::string& n) const {
        for (auto& t : tensors)
            if (t.name == n) return &t;
        return nullptr;
    }
    void say(const std::string& t) const { log->log(ILogger::Severity::kERROR, t.c_str()); }
};
struct Context final : IExecutionContext {
    std::shared_ptr<Net> net;
    std::int32_t profile = -1;
    std::map<std::string, Sizes> shapes;
    std::map<std::string, void*> at;
    std::map<std::string, IOutputAllocator*> allocators;
    void* scratch = nullptr;
    bool warm = false;
    int device = current;
    explicit Context(std::shared_ptr<Net> n) : net(std::move(n)) {
        ++state().contexts;
        const std::lock_guard<std::mutex> lock(net->m);
        if (net->shared || net->taken.insert(0).second) profile = 0;
    }
    ~Context() noexcept override {
        --state().contexts;
        const std::lock_guard<std::mutex> lock(net->m);
        if (!net->shared) net->taken.erase(profile);
    }
    std::int32_t getOptimizationProfile() const noexcept override { return profile; }
    bool setOptimizationProfileAsync(std::int32_t p, cudaStream_t) noexcept override {
        const std::lock_guard<std::mutex> lock(net->m);
        if (!net->shared) {
            if (net->taken.count(p)) {
                net->say("the profile is taken");
                return false;
            }
            net->taken.erase(profile);
            net->taken.insert(p);
        }
        profile = p;
        shapes.clear();
        return true;
    }
    bool setInputShape(char const* n, Dims const& d) noexcept override {
        const T* t = net->find(n);
        Sizes s(d.d, d.d + d.nbDims);
        if (!t || s.size() != t->shape.size()) {
            net->say("a shape of another rank");
            return false;
        }
        const auto& r = t->ranges[static_cast<std::size_t>(profile)];
        for (std::size_t i = 0; i < s.size(); ++i)
            if (s[i] < r[0][i] || s[i] > r[2][i]) {
                net->say("a shape outside the profile");
                return false;
            }
        shapes[n] = s;
        warm = false;
        return true;
    }
    Sizes shape_of(const T& t) const {
        if (t.input) {
            auto f = shapes.find(t.name);
            return f == shapes.end() ? t.shape : f->second;
        }
        if (t.op == "nonzero") return {-1};
        return shape_of(*net->find(t.source));
    }
    std::int32_t inferShapes(std::int32_t n, char const** names) noexcept override {
        std::int32_t missing = 0;
        for (auto& t : net->tensors)
            if (t.input && !t.host && !shapes.count(t.name)) {
                if (missing < n) names[missing] = t.name.c_str();
                ++missing;
            }
        return missing;
    }
    Dims getTensorShape(char const* n) const noexcept override { return dims(shape_of(*net->find(n))); }
    bool setTensorAddress(char const* n, void* p) noexcept override {
        if (!net->find(n)) return false;
        at[n] = p;
        return true;
    }
    bool setOutputAllocator(char const* n, IOutputAllocator* a) noexcept override {
        allocators[n] = a;
        return net->find(n) != nullptr;
    }
    void setDeviceMemory(void* p) noexcept override { scratch = p; }
#if STANDIN >= 100100
    void setDeviceMemoryV2(void* p, std::int64_t n) noexcept override { scratch = n >= 1000 ? p : nullptr; }
#endif
#ifdef STANDIN_RTX
    bool isStreamCapturable(cudaStream_t) const noexcept override { return true; }
#endif
    bool enqueueV3(cudaStream_t s) noexcept override {
        if (state().fails("enqueueV3") || !scratch || current != device || s->device != device) {
            net->say("the pass failed");
            return false;
        }
        if (s->recording && !warm) {
            s->broken = true;
            net->say("operation not permitted when stream is capturing");
            return false;
        }  // as TensorRT 8.5 (its issue 2603)
        warm = true;
        for (auto& t : net->tensors)
            if (!at.count(t.name) && !allocators.count(t.name)) {
                net->say("no address for " + t.name);
                return false;
            }
        for (auto& t : net->tensors) {
            if (t.input) continue;
            const T& from = *net->find(t.source);
            std::size_t n = 1;
            for (auto size : shape_of(from)) n *= static_cast<std::size_t>(size);
            const void* source = at[from.name];
            if (t.op == "nonzero") {
                if (s->recording) {
                    s->broken = true;
                    net->say("cannot be recorded");
                    return false;
                }
                drain(s);
                std::vector<std::size_t> hits;
                for (std::size_t i = 0; i < n; ++i)
                    if (get(from.type, real(source), i) > 0) hits.push_back(i);
                IOutputAllocator* a = allocators[t.name];
#if STANDIN >= 100000
                void* p = a->reallocateOutputAsync(t.name.c_str(), nullptr, hits.size() * width(t.type), 256, s);
#else
                void* p = a->reallocateOutput(t.name.c_str(), nullptr, hits.size() * width(t.type), 256);
#endif
                if (!p) {
                    net->say("the allocator gives nothing");
                    return false;
                }
                if (!state().fails("notifyShape"))
                    a->notifyShape(t.name.c_str(), dims({static_cast<std::int64_t>(hits.size())}));
                push(s, [=] {
                    for (std::size_t i = 0; i < hits.size(); ++i) set(t.type, real(p), i, static_cast<double>(hits[i]));
                });
            } else {
                void* p = at[t.name];
                const int a = from.type, b = t.type;
                const double f = t.factor;
                push(s, [=] {
                    for (std::size_t i = 0; i < n; ++i) set(b, real(p), i, get(a, real(source), i) * f);
                    std::this_thread::yield();
                });
            }
        }
        return true;
    }
};
struct Inspector final : IEngineInspector {
    std::string text;
    AsciiChar const* getEngineInformation(LayerInformationFormat) const noexcept override { return text.c_str(); }
};
struct Engine final : ICudaEngine {
    std::shared_ptr<Net> net;
    explicit Engine(std::shared_ptr<Net> n) : net(std::move(n)) { ++state().engines; }
    ~Engine() noexcept override { --state().engines; }
    std::int32_t getNbIOTensors() const noexcept override { return static_cast<std::int32_t>(net->tensors.size()); }
    char const* getIOTensorName(std::int32_t i) const noexcept override {
        return net->tensors[static_cast<std::size_t>(i)].name.c_str();
    }
    DataType getTensorDataType(char const* n) const noexcept override {
        return static_cast<DataType>(net->find(n)->type);
    }
    Dims getTensorShape(char const* n) const noexcept override { return dims(net->find(n)->shape); }
    TensorIOMode getTensorIOMode(char const* n) const noexcept override {
        return net->find(n)->input ? TensorIOMode::kINPUT : TensorIOMode::kOUTPUT;
    }
    char const* getTensorFormatDesc(char const* n) const noexcept override {
        return net->find(n)->name == "odd" ? "Channel major FP16 format where channel % 8 == 0 (kCHW8)"
                                           : "Row major linear FP32 (kLINEAR)";
    }
    TensorLocation getTensorLocation(char const* n) const noexcept override {
        return net->find(n)->host ? TensorLocation::kHOST : TensorLocation::kDEVICE;
    }
    std::int32_t getNbOptimizationProfiles() const noexcept override {
        return static_cast<std::int32_t>(net->tensors[0].ranges.size());
    }
    Dims getProfileShape(char const* n, std::int32_t p, OptProfileSelector s) const noexcept override {
        return dims(net->find(n)->ranges[static_cast<std::size_t>(p)][static_cast<std::size_t>(s)]);
    }
    IEngineInspector* createEngineInspector() const noexcept override {
        auto* i = new Inspector;
        i->text = net->layers;
        return i;
    }
#if STANDIN < 100000
    IExecutionContext* createExecutionContextWithoutDeviceMemory() noexcept override {
        return state().fails("context") ? nullptr : new Context(net);
    }
#else
    IExecutionContext* createExecutionContext(ExecutionContextAllocationStrategy) noexcept override {
        return state().fails("context") ? nullptr : new Context(net);
    }
#endif
#if STANDIN < 110000
    std::size_t getDeviceMemorySize() const noexcept override { return 1000; }
#endif
#if STANDIN >= 100100
    std::int64_t getDeviceMemorySizeV2() const noexcept override { return 1000; }
#endif
#if STANDIN >= 100000 && STANDIN < 110000
    bool setWeightStreamingBudget(std::int64_t n) noexcept override { return set_budget(n); }
    std::int64_t getWeightStreamingBudget() const noexcept override { return budget; }
#endif
#if STANDIN >= 100100
    bool setWeightStreamingBudgetV2(std::int64_t n) noexcept override { return set_budget(n); }
    std::int64_t getWeightStreamingBudgetV2() const noexcept override { return budget; }
#endif
    std::int64_t budget = -1;
    bool set_budget(std::int64_t n) {
        if (!net->streamable) {
            net->say("weight streaming is not enabled");
            return false;
        }
        budget = n;
        return true;
    }
#if STANDIN >= 101500
    char const* getAliasedInputTensor(char const*) const noexcept override { return nullptr; }
#endif
};
struct Runtime final : IRuntime {
    ILogger& log;
    explicit Runtime(ILogger& l) : log(l) {}
#if STANDIN >= 80600
    void setEngineHostCodeAllowed(bool) noexcept override {}
#endif
    ICudaEngine* deserializeCudaEngine(void const* p, std::size_t n) noexcept override {
        std::istringstream in(std::string(static_cast<const char*>(p), n));
        auto net = std::make_shared<Net>();
        net->log = &log;
        bool whole = false;
        for (std::string line; std::getline(in, line);) {
            std::istringstream words(line);
            std::string word, where, shape;
            words >> word;
            if (word == "standin") {
                int v = 0;
                words >> v;
                if (v != NV_TENSORRT_VERSION) {
                    log.log(ILogger::Severity::kERROR, "Version tag does not match");
                    return nullptr;
                }
            } else if (word == "shared")
                words >> net->shared;
            else if (word == "streamable")
                net->streamable = true;
            else if (word == "layers")
                net->layers = line;
            else if (word == "end")
                whole = true;
            else if (word == "input" || word == "output") {
                T t;
                t.input = word == "input";
                words >> t.name >> t.type >> where >> shape;
                t.host = where == "host";
                t.shape = sizes(shape);
                if (t.input)
                    for (std::string range; words >> range;) {
                        std::array<Sizes, 3> r;
                        std::istringstream parts(range);
                        std::string part;
                        for (auto& each : r) {
                            std::getline(parts, part, ':');
                            each = sizes(part);
                        }
                        t.ranges.push_back(r);
                    }
                else
                    words >> t.op >> t.source >> t.factor;
                net->tensors.push_back(t);
            }
        }
        if (!whole) {
            log.log(ILogger::Severity::kERROR, "Serialization assertion failed: the archive is cut short");
            return nullptr;
        }
        return new Engine(net);
    }
};
}  // namespace
}  // namespace nvinfer1
extern "C" std::int32_t getInferLibVersion() noexcept { return NV_TENSORRT_VERSION; }
extern "C" void* createInferRuntime_INTERNAL(void* logger, std::int32_t version) noexcept {
    if (state().fails("runtime") || version != NV_TENSORRT_VERSION || state().gpus == 0) return nullptr;
    return static_cast<nvinfer1::IRuntime*>(new nvinfer1::Runtime(*static_cast<nvinfer1::ILogger*>(logger)));
}

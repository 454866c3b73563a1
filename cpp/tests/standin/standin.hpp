// What tests look at and set.
#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <string>
namespace standin {
struct State {
    std::mutex mutex;
    std::map<std::string, int> calls;    // of CUDA and TensorRT, by name
    std::map<std::string, int> fail_in;  // let the n-th next call of that name fail
    std::atomic<int> device_blocks{0}, host_blocks{0}, streams{0}, events{0}, graphs{0}, contexts{0}, engines{0},
        most_at_once{0}, at_once{0};
    int gpus = 1;
    std::atomic<int> broken{-1};  // the number of a GPU that answers everything with an error
    int count(const std::string& name) {
        const std::lock_guard<std::mutex> lock(mutex);
        return calls[name];
    }
    bool fails(const std::string& name) {
        const std::lock_guard<std::mutex> lock(mutex);
        ++calls[name];
        const auto found = fail_in.find(name);
        if (found == fail_in.end() || --found->second > 0) return false;
        fail_in.erase(found);
        return true;
    }
    int leaks() const { return device_blocks + host_blocks + streams + events + graphs + contexts + engines; }
};
State& state();
}  // namespace standin

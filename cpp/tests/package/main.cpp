// Asks for a model that is not there; the error says so.
#include <cstring>
#include <onepass/onepass.hpp>

int main() {
    try {
        onepass::load("nowhere.onnx");
    } catch (const onepass::ModelNotFoundError& error) { return std::strstr(error.what(), "nowhere.onnx") ? 0 : 2; }
    return 1;
}

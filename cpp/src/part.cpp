#include "part.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>

namespace onepass {
namespace {

// Numbers of fields in onnx.proto.
constexpr std::uint64_t kModelGraph = 7, kGraphNode = 1, kGraphOutput = 12, kNodeInput = 1, kNodeOutput = 2,
                        kNodeAttribute = 5, kAttributeGraph = 6, kAttributeGraphs = 11, kValueName = 1;

struct Malformed {};

// One field of a message in protobuf's encoding; https://protobuf.dev/programming-guides/encoding has it.
struct Field {
    std::uint64_t number;
    std::string_view whole;    // with its tag
    std::string_view content;  // of one that has a length; else empty
};

class Reader {
  public:
    explicit Reader(std::string_view message) : message_(message) {}

    bool next(Field& field) {
        if (at_ == message_.size()) return false;
        const std::size_t begin = at_;
        const std::uint64_t tag = varint();
        field.number = tag >> 3;
        field.content = {};
        switch (tag & 7) {
            case 0:
                varint();
                break;
            case 1:
                skip(8);
                break;
            case 2: {
                const std::uint64_t size = varint();
                const std::size_t from = at_;
                skip(size);
                field.content = message_.substr(from, at_ - from);
                break;
            }
            case 5:
                skip(4);
                break;
            default:
                throw Malformed{};
        }
        field.whole = message_.substr(begin, at_ - begin);
        return true;
    }

  private:
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            skip(1);
            const auto byte = static_cast<unsigned char>(message_[at_ - 1]);
            value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
            if (byte < 0x80) return value;
        }
        throw Malformed{};
    }
    void skip(std::uint64_t count) {
        if (count > message_.size() - at_) throw Malformed{};
        at_ += static_cast<std::size_t>(count);
    }

    std::string_view message_;
    std::size_t at_ = 0;
};

template <class F>
void each_field(std::string_view message, F call) {
    Reader reader(message);
    for (Field field{}; reader.next(field);) call(field);
}

std::string_view name_of_value(std::string_view value) {
    std::string_view name;
    each_field(value, [&](const Field& field) {
        if (field.number == kValueName) name = field.content;
    });
    return name;
}

// The names that a node takes, those that its branches and bodies take from around them included.
void add_uses(std::string_view node, std::set<std::string_view>& uses) {
    each_field(node, [&](const Field& field) {
        if (field.number == kNodeInput) uses.insert(field.content);
        if (field.number != kNodeAttribute) return;
        each_field(field.content, [&](const Field& part) {
            if (part.number != kAttributeGraph && part.number != kAttributeGraphs) return;
            each_field(part.content, [&](const Field& inner) {
                if (inner.number == kGraphNode) add_uses(inner.content, uses);
                if (inner.number == kGraphOutput) uses.insert(name_of_value(inner.content));
            });
        });
    });
}

// Which nodes of a graph some outputs need, by their place among all nodes.
std::vector<bool> needed(const std::vector<std::string_view>& nodes, const std::vector<std::string>& outputs) {
    std::map<std::string_view, std::size_t> makers;
    for (std::size_t i = 0; i < nodes.size(); ++i)
        each_field(nodes[i], [&](const Field& field) {
            if (field.number == kNodeOutput && !field.content.empty()) makers[field.content] = i;
        });
    std::vector<bool> kept(nodes.size());
    std::vector<std::string_view> open(outputs.begin(), outputs.end());
    while (!open.empty()) {
        const auto maker = makers.find(open.back());
        open.pop_back();
        if (maker == makers.end() || kept[maker->second]) continue;
        kept[maker->second] = true;
        std::set<std::string_view> uses;
        add_uses(nodes[maker->second], uses);
        open.insert(open.end(), uses.begin(), uses.end());
    }
    return kept;
}

// The graph without what is not needed; empty where all of it is.
std::string part_of_graph(std::string_view graph, const std::vector<std::string>& outputs) {
    std::vector<std::string_view> nodes;
    each_field(graph, [&](const Field& field) {
        if (field.number == kGraphNode) nodes.push_back(field.content);
    });
    const std::vector<bool> kept = needed(nodes, outputs);
    if (std::find(kept.begin(), kept.end(), false) == kept.end()) return "";
    std::string part;
    std::size_t node = 0;
    each_field(graph, [&](const Field& field) {
        const bool is_node = field.number == kGraphNode, is_output = field.number == kGraphOutput;
        if (is_node && !kept[node++]) return;
        if (is_output && std::find(outputs.begin(), outputs.end(), name_of_value(field.content)) == outputs.end())
            return;
        part += field.whole;
    });
    return part;
}

void put_varint(std::string& text, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) text += static_cast<char>(0x80 | (value & 0x7F));
    text += static_cast<char>(value);
}

}  // namespace

std::optional<std::string> part_of(std::string_view model, const std::vector<std::string>& outputs) {
    try {
        std::string part;
        int graphs = 0;
        each_field(model, [&](const Field& field) {
            if (field.number != kModelGraph) {
                part += field.whole;
                return;
            }
            ++graphs;
            const std::string graph = part_of_graph(field.content, outputs);
            put_varint(part, kModelGraph << 3 | 2);
            put_varint(part, graph.size());
            part += graph;
            if (graph.empty()) graphs = 2;
        });
        if (graphs == 1) return part;
    } catch (const Malformed&) {}
    return std::nullopt;
}

}  // namespace onepass

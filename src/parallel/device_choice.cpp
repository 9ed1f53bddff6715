#include "parallel/device_choice.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string_view>

#include "convoy/error.hpp"
#include "parallel/backend.hpp"
#include "parallel/node.hpp"
#include "parallel/session.hpp"

namespace convoy {

namespace {

constexpr char end_of_field = '\0';

// One device, whoever sees it under whatever number. A driver that gives no identity has its devices told apart by
// number on each node.
std::string key_of(const DeviceView& view, int number) {
    const CudaDevice& device = view.devices[static_cast<std::size_t>(number)];
    return device.identity.empty() ? fmt::format("{}:{}", view.host, number) : device.identity;
}

std::string rank_in_words(const std::vector<DeviceView>& views, std::size_t rank) {
    const std::string& host = views[rank].host;
    return views.size() == 1 ? host : fmt::format("rank {} on {}", rank, host);
}

std::string lack_in_words(const std::vector<DeviceView>& views, std::size_t rank) {
    return fmt::format("{} sees none: {}", rank_in_words(views, rank), views[rank].why_none);
}

// The first rank that sees no device.
std::optional<std::size_t> first_without(const std::vector<DeviceView>& views) {
    for (std::size_t rank = 0; rank < views.size(); ++rank)
        if (views[rank].devices.empty()) return rank;
    return std::nullopt;
}

int number_for(const DeviceRequest& request, const std::vector<DeviceView>& views, std::size_t rank) {
    const DeviceView& view = views[rank];
    const int visible = static_cast<int>(view.devices.size());
    if (!request.number) return view.rank_on_node % visible;
    CONVOY_VALIDATE(*request.number < visible,
                    fmt::format("--device cuda:{} cannot be used ({} sees {}); numbers begin at 0, or take --device "
                                "cuda, which deals them out",
                                *request.number, rank_in_words(views, rank),
                                visible == 1 ? "1 device" : fmt::format("{} devices", visible)));
    return *request.number;
}

void deal_out(DeviceChoice& choice, const DeviceRequest& request, const std::vector<DeviceView>& views) {
    std::map<std::string, int> ranks_of;
    for (std::size_t rank = 0; rank < views.size(); ++rank) {
        DeviceUse use;
        use.number = number_for(request, views, rank);
        use.device = views[rank].devices[static_cast<std::size_t>(use.number)];
        ++ranks_of[key_of(views[rank], use.number)];
        choice.uses.push_back(use);
    }
    for (std::size_t rank = 0; rank < views.size(); ++rank) {
        DeviceUse& use = choice.uses[rank];
        use.ranks = ranks_of[key_of(views[rank], use.number)];
        use.memory = request.memory.value_or(device_memory_share * use.device.memory / use.ranks);
        const double most = use.device.memory / use.ranks;
        const std::string sharing = use.ranks > 1 ? fmt::format(", shared by {} ranks", use.ranks) : "";
        CONVOY_VALIDATE(
            use.memory <= most,
            fmt::format("--device-memory {} is more than {} can have ({} of {}{}); give at most {}, or leave "
                        "it out",
                        in_bytes(use.memory), rank_in_words(views, rank), use.device.name, in_bytes(use.device.memory),
                        sharing, in_bytes(most)));
    }
}

// --- Words ---

// 0-3, 5, 7-9; where that would be long, how many.
std::string ranks_in_words(const std::vector<std::size_t>& ranks) {
    constexpr std::size_t most = 4;
    if (ranks.size() == 1) return fmt::format("rank {}", ranks.front());
    std::vector<std::string> runs;
    for (std::size_t k = 0; k < ranks.size();) {
        std::size_t last = k;
        while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
        runs.push_back(last == k ? fmt::format("{}", ranks[k]) : fmt::format("{}-{}", ranks[k], ranks[last]));
        k = last + 1;
    }
    if (runs.size() > most) return fmt::format("{} ranks", ranks.size());
    return fmt::format("ranks {}", fmt::join(runs, ", "));
}

// 4 x NVIDIA H200 (140 GiB each), 2 ranks on each
std::string devices_of_node(const DeviceChoice& choice, const std::vector<DeviceView>& views,
                            const std::vector<std::size_t>& ranks) {
    struct OfAKind {
        std::set<std::string> devices;
        int fewest = 0, most = 0;  // ranks on one
    };
    std::map<std::string, OfAKind> kinds;  // by name and memory
    for (const std::size_t rank : ranks) {
        const DeviceUse& use = choice.uses[rank];
        OfAKind& kind = kinds[fmt::format("{} ({}", use.device.name, in_bytes(use.device.memory))];
        kind.fewest = kind.devices.empty() ? use.ranks : std::min(kind.fewest, use.ranks);
        kind.most = std::max(kind.most, use.ranks);
        kind.devices.insert(key_of(views[rank], use.number));
    }
    std::vector<std::string> words;
    for (const auto& [name, kind] : kinds) {
        if (kind.devices.size() == 1) {
            words.push_back(name + ")" + (kind.most > 1 ? fmt::format(", shared by {} ranks", kind.most) : ""));
            continue;
        }
        const std::string sharing = kind.most == 1 ? ""
                                    : kind.fewest == kind.most
                                        ? fmt::format(", {} ranks on each", kind.most)
                                        : fmt::format(", {} to {} ranks on each", kind.fewest, kind.most);
        words.push_back(fmt::format("{} x {} each){}", kind.devices.size(), name, sharing));
    }
    return fmt::format("{}", fmt::join(words, " and "));
}

// Nodes that are alike together.
std::string in_words(const DeviceChoice& choice, const std::vector<DeviceView>& views) {
    constexpr std::size_t shown = 4;
    std::vector<std::string> hosts;
    std::map<std::string, std::vector<std::size_t>> ranks_of;
    for (std::size_t rank = 0; rank < views.size(); ++rank) {
        std::vector<std::size_t>& ranks = ranks_of[views[rank].host];
        if (ranks.empty()) hosts.push_back(views[rank].host);
        ranks.push_back(rank);
    }
    struct Alike {
        std::string devices;
        std::vector<std::string> hosts;
        std::vector<std::size_t> ranks;
    };
    std::vector<Alike> groups;
    for (const std::string& host : hosts) {
        const std::vector<std::size_t>& ranks = ranks_of[host];
        const std::string devices = devices_of_node(choice, views, ranks);
        const auto same = std::ranges::find_if(groups, [&](const Alike& g) {
            return g.devices == devices && g.ranks.size() == g.hosts.size() * ranks.size();
        });
        Alike& group = same != groups.end() ? *same : groups.emplace_back(Alike{devices, {}, {}});
        group.hosts.push_back(host);
        group.ranks.insert(group.ranks.end(), ranks.begin(), ranks.end());
    }
    std::vector<std::string> words;
    for (Alike& group : groups) {
        std::ranges::sort(group.ranks);
        const std::size_t nodes = group.hosts.size();
        words.push_back(
            nodes == 1
                ? fmt::format("{} on {}: {}", ranks_in_words(group.ranks), group.hosts.front(), group.devices)
                : fmt::format("{} on {} nodes ({}{} {}): {} on each node", ranks_in_words(group.ranks), nodes,
                              group.hosts.front(), nodes == 2 ? " and" : " to", group.hosts.back(), group.devices));
    }
    const std::size_t more = words.size() > shown ? words.size() - shown : 0;
    words.resize(words.size() - more);
    return fmt::format("{}{}", fmt::join(words, "; "), more > 0 ? fmt::format("; and {} more like these", more) : "");
}

DevicesInShort in_short(const DeviceChoice& choice, const std::vector<DeviceView>& views) {
    DevicesInShort all;
    std::set<int> capabilities;
    for (const DeviceUse& use : choice.uses) {
        all.memory = capabilities.empty() ? use.memory : std::min(all.memory, use.memory);
        all.ranks_on_one = std::max(all.ranks_on_one, use.ranks);
        capabilities.insert(use.device.capability);
    }
    std::vector<std::string> names;
    for (const int capability : capabilities) names.push_back(fmt::format("sm_{}", capability));
    all.instruction_set = fmt::format("{}", fmt::join(names, " "));
    all.words = in_words(choice, views);
    return all;
}

}  // namespace

DeviceChoice choose_devices(const DeviceRequest& request, const std::vector<DeviceView>& views) {
    using Kind = DeviceRequest::Kind;
    DeviceChoice choice;
    if (request.kind == Kind::reference) choice.backend = Backend::reference;
    if (request.kind != Kind::automatic && request.kind != Kind::cuda) return choice;
    if (const auto rank = first_without(views)) {
        const bool nowhere = std::ranges::all_of(views, [](const DeviceView& view) { return view.devices.empty(); });
        const std::string lack = nowhere ? views[*rank].why_none : lack_in_words(views, *rank);
        CONVOY_VALIDATE(request.kind == Kind::automatic,
                        fmt::format("--device cuda cannot be used ({}{}); give every rank one, or use --device cpu",
                                    nowhere ? "there is no CUDA device: " : "", lack));
        choice.warning = fmt::format(
            "no CUDA device is used ({}): this run is on the CPU; --device cpu says that this "
            "is meant",
            lack);
        return choice;
    }
    choice.backend = Backend::cuda;
    deal_out(choice, request, views);
    choice.in_short = in_short(choice, views);
    choice.in_short.memory_given = request.memory.has_value();
    return choice;
}

DeviceChoice choose_devices(const Communicator& world, const DeviceRequest& request) {
    const bool wanted = request.kind == DeviceRequest::Kind::automatic || request.kind == DeviceRequest::Kind::cuda;
    if (!wanted || !built_with_cuda()) {
        CONVOY_VALIDATE(request.kind != DeviceRequest::Kind::cuda,
                        "--device cuda cannot be used (this convoy is built without CUDA); use --device cpu");
        DeviceChoice choice;
        if (request.kind == DeviceRequest::Kind::reference) choice.backend = Backend::reference;
        return choice;
    }
    DeviceView mine;
    mine.rank_on_node = Session::rank_on_node();
    agree(world, [&] {
        mine.host = host_name();
        mine.devices = cuda_devices();
        if (mine.devices.empty()) mine.why_none = why_no_cuda_device();
    });
    std::vector<DeviceView> views;
    for (const std::string& text : world.gather_all(packed(mine))) views.push_back(unpacked(text));
    return choose_devices(request, views);
}

void use_devices(const Communicator& world, const DeviceChoice& choice, bool stream_points) {
    if (choice.uses.empty()) return;
    agree(world, [&] {
        const DeviceUse& mine = choice.uses.at(static_cast<std::size_t>(world.rank()));
        naming_rank(world, [&] { use_cuda_device(mine.number, mine.memory - cuda_memory_of_driver(), stream_points); });
    });
}

std::string packed(const DeviceView& view) {
    std::string text;
    const auto add = [&](const std::string& field) { text.append(field).append(1, end_of_field); };
    add(view.host);
    add(std::to_string(view.rank_on_node));
    add(view.why_none);
    for (const CudaDevice& device : view.devices) {
        add(device.name);
        add(device.identity);
        add(fmt::format("{:a}", device.memory));
        add(std::to_string(device.capability));
    }
    return text;
}

DeviceView unpacked(const std::string& text) {
    std::vector<std::string> fields;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(end_of_field, at), text.size());
        fields.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    constexpr std::size_t of_the_rank = 3, of_a_device = 4;
    CONVOY_EXPECT(fields.size() >= of_the_rank && (fields.size() - of_the_rank) % of_a_device == 0);
    DeviceView view{fields[0], std::atoi(fields[1].c_str()), {}, fields[2]};
    for (std::size_t at = of_the_rank; at < fields.size(); at += of_a_device)
        view.devices.push_back({fields[at], fields[at + 1], std::strtod(fields[at + 2].c_str(), nullptr),
                                std::atoi(fields[at + 3].c_str())});
    return view;
}

}  // namespace convoy

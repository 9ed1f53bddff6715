#include "app/self_terms.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>
#include <tuple>

#include "app/quantities.hpp"
#include "convoy/error.hpp"
#include "io/features_file.hpp"
#include "io/number.hpp"

namespace convoy::app {

namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& problem, const std::string& remedy) {
    throw InputError{fmt::format("cannot reuse the self terms of '{}': {}; {}", path, problem, remedy)};
}

// A result's attributes by their paths, on all ranks.
class StoredAttributes {
 public:
    StoredAttributes(const Communicator& world, const std::string& path) : path_{path} {
        // Pairs of texts, each ended by a zero byte, which no attribute has.
        std::string packed;
        agree(world, [&] {
            if (!world.is_root()) return;
            const io::Description description = io::describe(path);
            if (!description.complete) refuse(path, "it is incomplete (its writer did not finish)", "compute it again");
            for (const auto& [name, value] : description.attributes)
                packed.append(name).append(1, '\0').append(value.c_str()).append(1, '\0');
        });
        world.broadcast(packed);
        for (std::size_t at = 0; at < packed.size();) {
            const std::string name = packed.c_str() + at;
            at += name.size() + 1;
            const std::string value = packed.c_str() + at;
            at += value.size() + 1;
            all_[name] = value;
        }
    }

    bool has(const std::string& name) const { return all_.contains(name); }
    const std::string& text(const std::string& name) const {
        const auto found = all_.find(name);
        if (found == all_.end()) refuse(path_, fmt::format("'{}' is missing", name), "the file is damaged");
        return found->second;
    }
    double number(const std::string& name) const {
        const auto value = io::parse_number(text(name));
        if (!value || !std::isfinite(*value))
            refuse(path_, fmt::format("'{}' is no finite number ('{}')", name, text(name)), "the file is damaged");
        return *value;
    }
    std::int64_t count(const std::string& name) const {
        const double value = number(name);
        if (!(value >= 0 && value <= 0x1p53) || value != std::floor(value))
            refuse(path_, fmt::format("'{}' is no count ('{}')", name, text(name)), "the file is damaged");
        return static_cast<std::int64_t>(value);
    }

 private:
    std::string path_;
    std::map<std::string, std::string> all_;
};

Status status_from(const std::string& text) {
    for (const Status status : {Status::converged, Status::not_converged, Status::stopped})
        if (text == name_of(status)) return status;
    return Status::failed;
}

StoredSelfTerm term_from(const StoredAttributes& from, Side side) {
    const std::string at = "/divergence/" + name_of(side) + "/", input = "/inputs/" + name_of(side) + "/";
    StoredSelfTerm stored;
    stored.side = side;
    stored.input.rows = from.count(input + "rows");
    stored.input.columns = from.count(input + "columns");
    stored.input.scaling = from.text(input + "scaling");
    if (from.has(input + "blur")) {  // not in the files of earlier versions
        stored.input.prepare.image = from.text(input + "image");
        stored.input.prepare.grayscale = from.count(input + "grayscale") == 1;
        stored.input.prepare.blur = from.number(input + "blur");
    }
    stored.input.checksum = static_cast<std::uint32_t>(from.count(input + "checksum"));
    stored.input.weights_checksum = static_cast<std::uint32_t>(from.count(input + "weights_checksum"));
    DivergenceTerm& term = stored.term;
    term.values = {from.number(at + "dual_value"), from.number(at + "transport_cost"), from.number(at + "kl"),
                   from.number(at + "normalised_entropy"), from.number(at + "mass")};
    term.audit = {from.number(at + "audited_source_error"), from.number(at + "audited_target_error"),
                  from.text(at + "audit") == "sampled", from.count(at + "audited_rows"),
                  from.count(at + "audited_columns")};
    term.marginal_error = from.number(at + "marginal_error");
    term.half_passes = from.count(at + "half_passes");
    term.status = status_from(from.text(at + "status"));
    term.reason = from.text(at + "reason");
    return stored;
}

// How a stored cloud differs from one of this run: the nearer they are, the lower the grade; 0: they are the same.
struct Difference {
    int grade = 0;
    std::string words;
};
Difference difference(const io::InputIdentity& stored, const io::InputIdentity& here) {
    if (stored.rows != here.rows || stored.columns != here.columns)
        return {4, fmt::format("other points ({} x {}, here {} x {})", stored.rows, stored.columns, here.rows,
                               here.columns)};
    if (stored.checksum != here.checksum)
        return {3, fmt::format("other points (checksum {:08x}, here {:08x})", stored.checksum, here.checksum)};
    // What was read is the same: how it was read, such as by which columns, does not matter then.
    if (io::parse_scaling(stored.scaling) != io::parse_scaling(here.scaling))
        return {2, fmt::format("another scale ({}, here {})", stored.scaling, here.scaling)};
    const auto images = [](const io::InputIdentity& input) {
        return std::tuple{input.prepare.grayscale, input.prepare.blur, input.prepare.image};
    };
    if (images(stored) != images(here)) {
        const auto words = [](const io::InputIdentity& input) {
            const std::string all = io::in_words(input.prepare, input.scaling);
            return all.empty() ? std::string{"as they are"} : all;
        };
        return {2, fmt::format("other grey levels or blur ({}; here {})", words(stored), words(here))};
    }
    if (stored.weights_checksum != here.weights_checksum)
        return {1, fmt::format("other weights (checksum {:08x}, here {:08x}; 0: equal weights)",
                               stored.weights_checksum, here.weights_checksum)};
    return {};
}

}  // namespace

std::string name_of(Side side) {
    return side == Side::row ? "source" : "target";
}

io::Attributes term_attributes(const DivergenceTerm& term, const std::string& reused) {
    return {{"dual_value", term.values.dual_value},
            {"transport_cost", term.values.transport_cost},
            {"kl", term.values.kl},
            {"normalised_entropy", term.values.normalised_entropy},
            {"mass", term.values.mass},
            {"marginal_error", term.marginal_error},
            {"audited_error", term.audit.error()},
            {"audited_source_error", term.audit.source_error},
            {"audited_target_error", term.audit.target_error},
            {"audit", std::string{term.audit.sampled ? "sampled" : "all"}},
            {"audited_rows", term.audit.rows},
            {"audited_columns", term.audit.columns},
            {"half_passes", term.half_passes},
            {"status", name_of(term.status)},
            {"reason", term.reason},
            {"reused", reused}};
}

StoredSelfTerms read_self_terms(const Communicator& world, const std::string& path) {
    const StoredAttributes from{world, path};
    if (!from.has("/divergence/source/dual_value") || !from.has("/divergence/target/dual_value"))
        refuse(path, "it holds none (they are written by convoy divergence)", "give a result of that command");
    return {path,
            from.number("/solution/epsilon"),
            from.text("/solution/cost"),
            term_from(from, Side::row),
            term_from(from, Side::column),
            io::read_features(world, path)};
}

void expect_same_problem(const StoredSelfTerms& stored, const Cost& cost, double epsilon) {
    constexpr double rounding = 1e-12;  // of a relative epsilon that another grid has found
    if (stored.cost != cost.name())
        refuse(stored.path, fmt::format("its cost is {} (here {})", stored.cost, cost.name()),
               "leave out --reuse, or give --cost " + stored.cost);
    if (!(std::abs(stored.epsilon - epsilon) <= rounding * epsilon))
        refuse(stored.path, fmt::format("its epsilon is {} (here {})", stored.epsilon, epsilon),
               fmt::format("leave out --reuse, or give --epsilon {}", stored.epsilon));
}

ReusableTerms find_reusable(const StoredSelfTerms& stored, const Problem& problem) {
    if (stored.features.has_value() != problem.features.has_value() ||
        (stored.features && !alike(*stored.features, *problem.features)))
        refuse(stored.path,
               stored.features
                   ? fmt::format("its points were {}, together with other ones than here", in_words(*stored.features))
                   : "its points were neither standardized nor projected",
               "leave out --reuse: such features are those of both clouds together");
    const io::InputIdentity &source = problem.source, &target = problem.target;
    ReusableTerms found;
    Difference nearest{5, {}};
    for (const Side side : {Side::row, Side::column}) {
        const io::InputIdentity& here = side == Side::row ? source : target;
        const StoredSelfTerm*& place = side == Side::row ? found.source : found.target;
        for (const StoredSelfTerm* term : {&stored.source, &stored.target}) {
            Difference apart = difference(term->input, here);
            if (apart.grade == 0 && place == nullptr) place = term;
            if (apart.grade >= nearest.grade) continue;
            nearest = {apart.grade,
                       fmt::format("its {} has {} than the {} has", name_of(term->side), apart.words, name_of(side))};
        }
    }
    if (found.source == nullptr && found.target == nullptr)
        refuse(stored.path, nearest.words, "leave out --reuse, or give a result of the same points");
    return found;
}

SelfTerm read_self_term(const Problem& problem, Side side, const StoredSelfTerms& stored, const StoredSelfTerm& term) {
    const Grid& grid = problem.coupling.grid();
    const Partition& own = problem.coupling.cloud(side).partition;
    const std::vector<double> potential =
        problem.of_points(side, io::read_stored_vector(grid, side, problem.rows(side), stored.path,
                                                       fmt::format("self/{}/f", name_of(term.side))));
    const Partition again = Partition::even(own.items(), grid.parts(other(side)));
    const std::vector<double> redistributed = redistribute(grid, side, own, again, 1, potential);
    SelfTerm result;
    result.term = term.term;
    result.solution.f = side == Side::row ? potential : redistributed;
    result.solution.g = side == Side::row ? redistributed : potential;
    result.solution.epsilon = stored.epsilon;
    result.solution.marginal_error = term.term.marginal_error / 2;
    result.solution.status = term.term.status;
    result.solution.reason = term.term.reason;
    return result;
}

}  // namespace convoy::app

#include "app/checkpoints.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <random>

#include "app/provenance.hpp"
#include "app/quantities.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

namespace {

// What of a plan decides on bits.
constexpr std::array decisive = {"ranks",           "grid",  "precision", "backend",
                                 "instruction_set", "cache", "tiles",     "acceleration"};

std::string found(const io::StoredCheckpoint::Texts& texts, const std::string& name) {
    const auto one = std::ranges::find_if(texts, [&](const auto& text) { return text.first == name; });
    return one == texts.end() ? std::string{} : one->second;
}

std::string as_text(const io::Attribute& value) {
    return std::visit([](const auto& one) { return fmt::format("{}", one); }, value);
}

std::string new_run_id(const Communicator& world) {
    std::string id(16, '0');
    if (world.is_root()) {
        std::random_device random;
        id = fmt::format("{:08x}{:08x}", random(), random());
    }
    world.broadcast(id);
    return id;
}

}  // namespace

Checkpoints::Checkpoints(const Communicator& world, CheckpointOptions options)
    : world_{world}, options_{std::move(options)} {
    if (!on()) return;
    last_is_good_ = !options_.last_is_damaged;
    if (const io::StoredCheckpoint* from = stored()) {
        run_id_ = from->text("run_id");
        resumes_ = from->count("resumes") + 1;
        seconds_before_ = from->number("seconds");
        written_ = true;
    } else {
        run_id_ = new_run_id(world_);
    }
}

void Checkpoints::tell(Console& console) const {
    if (!options_.warning.empty()) console.warn(options_.warning);
    if (!options_.note.empty()) console.say(options_.note);
    if (const io::StoredCheckpoint* from = stored())
        console.say(fmt::format("resuming from '{}': {} done in {}, restart {}", from->path(), from->text("done"),
                                duration_text(seconds_before_), resumes_));
}

void Checkpoints::ask_for_plan(MachineOptions& machine, SolverOptions& solver) const {
    if (state() == nullptr) return;
    const io::StoredCheckpoint::Texts& plan = stored()->plan();
    if (!machine.grid && found(plan, "ranks") == std::to_string(world_.size()))
        machine.grid = GridShape::parse(found(plan, "grid"));
    if (!machine.precision && !found(plan, "precision").empty())
        machine.precision = found(plan, "precision") == "double" ? Precision::fp64 : Precision::single;
    if (machine.cache == Cache::automatic) machine.cache = found(plan, "cache") == "on" ? Cache::on : Cache::off;
    for (const Acceleration one :
         {Acceleration::plain, Acceleration::over_relaxation, Acceleration::anderson, Acceleration::coarse})
        if (!solver.acceleration && found(plan, "acceleration") == name_of(one)) solver.acceleration = one;
}

void Checkpoints::set_plan(const io::Attributes& plan, Console& console) {
    plan_ = plan;
    if (state() == nullptr) return;
    std::vector<std::string> differences;
    for (const char* name : decisive) {
        const auto here = std::ranges::find_if(plan, [&](const auto& one) { return one.first == name; });
        const std::string now = here == plan.end() ? std::string{} : as_text(here->second);
        const std::string then = found(stored()->plan(), name);
        if (now != then) differences.push_back(fmt::format("{} {}, was {}", name, now, then));
    }
    if (!differences.empty())
        console.say(fmt::format("the plan is not the checkpoint's ({}): the end agrees to rounding, not bit for bit",
                                fmt::join(differences, "; ")));
}

bool Checkpoints::same_parts(const Grid& grid) const {
    return stored() != nullptr && found(stored()->plan(), "grid") == grid.shape().name();
}

void Checkpoints::set_fact(const std::string& name, const std::string& what, const std::string& value) {
    if (!on()) return;
    options_.problem.emplace_back(name, value);
    if (stored() == nullptr) return;
    const std::string then = found(stored()->problem(), name);
    CONVOY_VALIDATE(
        then == value,
        fmt::format("cannot resume from '{}': it belongs to another run ({} is {}, there {}); give the same "
                    "inputs, or another --checkpoint",
                    stored()->path(), what, value, then));
}

void Checkpoints::set_input(const std::string& name, const io::InputIdentity& input) {
    const auto fact = [&](const char* part, const std::string& value) {
        set_fact(fmt::format("{}.{}", name, part), fmt::format("the {} of {} '{}'", part, name, input.path), value);
    };
    fact("rows", fmt::format("{}", input.rows));
    fact("columns", fmt::format("{}", input.columns));
    fact("dimension", fmt::format("{}", input.dimension));
    fact("checksum", fmt::format("{:08x}", input.checksum));
    fact("weights checksum", fmt::format("{:08x}", input.weights_checksum));
}

double Checkpoints::seconds_since(Clock::time_point then) const {
    return std::chrono::duration<double>(Clock::now() - then).count();
}

// The clock is rank 0's, signals anybody's.
Checkpoints::Wish Checkpoints::wish(const StopRequest& stop) const {
    double wish = static_cast<double>(stop.seen() == StopReason::none ? Wish::go_on : Wish::end);
    if (world_.is_root() && wish == 0) {
        // There has to be time for another stretch of work, and for writing after it.
        const double needed = 1.5 * longest_stretch_ + 2 * longest_write_;
        if (stop.seconds_left() < needed)
            wish = static_cast<double>(Wish::end);
        else if (seconds_since(last_write_) >= options_.interval)
            wish = static_cast<double>(Wish::write);
    }
    world_.max(std::span{&wish, 1});
    return static_cast<Wish>(static_cast<int>(wish));
}

void Checkpoints::at_boundary(const Grid& grid, const StopRequest& stop, Console& console, Phases& phases,
                              const std::function<std::string()>& done, const Snapshot& snapshot, bool in_any_case) {
    if (!on()) return;
    if (last_boundary_) longest_stretch_ = std::max(longest_stretch_, seconds_since(*last_boundary_));
    last_boundary_ = Clock::now();
    const Wish now = wish(stop);
    if (now == Wish::go_on && !in_any_case) return;
    const Clock::time_point begin = Clock::now();
    const std::string words = done();
    const double seconds = seconds_before_ + seconds_since(begin_);
    io::Checkpoint checkpoint;
    checkpoint.root = {{"program", "convoy"}, {"version", version()}, {"created", utc_now()}};
    checkpoint.problem = options_.problem;
    checkpoint.plan = plan_;
    checkpoint.state = {{"run_id", run_id_},
                        {"resumes", resumes_},
                        {"seconds", seconds},
                        {"done", words},
                        {"light", std::int64_t{options_.light ? 1 : 0}}};
    if (also_) also_(checkpoint);
    snapshot(checkpoint);
    const std::int64_t bytes = io::write_checkpoint(grid, checkpoint, options_.file, last_is_good_);
    last_is_good_ = written_ = true;
    const double took = seconds_since(begin);
    longest_write_ = std::max(longest_write_, took);
    last_boundary_ = last_write_ = Clock::now();
    phases.add("checkpoint", took);
    const std::string size = bytes_text(static_cast<double>(bytes));
    if (now == Wish::end)
        throw Suspended{fmt::format("stopped by {} after {}; go on with --resume (checkpoint '{}', {})",
                                    stop.seen() == StopReason::signal ? "a signal" : "the time limit", words,
                                    options_.file, size)};
    const std::string line = fmt::format("checkpoint after {}: {} in {:.1f} s", words, size, took);
    if (now == Wish::write)
        console.say(line);
    else
        console.detail(line);
}

void Checkpoints::end_without_one(const StopRequest& stop, const std::string& doing) const {
    const StopReason reason = stop.agreed(world_);
    if (reason == StopReason::none) return;
    // To be gone on with another time, and another, without ever getting anywhere?
    if (reason == StopReason::time_limit)
        throw Failure{fmt::format(
            "the time limit was reached while {}, before there was anything new to keep; allow more --time-limit",
            doing)};
    throw Suspended{
        fmt::format("stopped by a signal while {}; {}", doing,
                    written_ ? fmt::format("go on with --resume (the checkpoint is as it was, '{}')", options_.file)
                             : std::string{"nothing was worth a checkpoint yet: --resume starts afresh"})};
}

void Checkpoints::remove() {
    if (on()) io::remove_checkpoints(world_, options_.file);
}

io::Attributes Checkpoints::attributes() const {
    if (!on()) return {};
    return {{"run_id", run_id_}, {"resumes", resumes_}, {"seconds_before", seconds_before_}};
}

std::string checksums_of(const io::Model& model) {
    return fmt::format("{:08x} {:08x} {:08x} {:08x}", model.source.potential.checksum, model.target.potential.checksum,
                       model.source.weights.checksum, model.target.weights.checksum);
}

}  // namespace convoy::app

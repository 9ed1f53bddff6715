#include "convoy/communicator.hpp"

#include <mpi.h>

#include <algorithm>
#include <new>
#include <numeric>
#include <utility>

#include "convoy/error.hpp"
#include "parallel/native.hpp"

namespace convoy {

// Errors of MPI itself are fatal (its default handler prints and ends all ranks), so return codes are not looked at.
struct Communicator::Impl {
    MPI_Comm comm = MPI_COMM_NULL;
    int rank = 0, size = 1;
    bool owned = false;

    Impl(MPI_Comm c, bool own) : comm{c}, owned{own} {
        MPI_Comm_rank(comm, &rank);
        MPI_Comm_size(comm, &size);
    }
    ~Impl() {
        int finalized = 0;
        MPI_Finalized(&finalized);
        if (owned && finalized == 0) MPI_Comm_free(&comm);
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
};

std::int64_t Communicator::piece_elements = std::int64_t{1} << 26;

namespace {

// The one cast of a length to MPI's int.
int count_of(std::int64_t elements) {
    CONVOY_ASSERT(elements >= 0 && elements <= std::int64_t{1} << 30);
    return static_cast<int>(elements);
}

template <class T, class F>
void in_pieces(std::span<T> values, F&& call) {
    const auto total = static_cast<std::int64_t>(values.size());
    for (std::int64_t at = 0; at < total; at += Communicator::piece_elements) {
        call(values.data() + at, count_of(std::min(Communicator::piece_elements, total - at)));
    }
}

template <class T>
void reduce_all(const Communicator& comm, std::span<T> values, MPI_Datatype type, MPI_Op op) {
    if (comm.size() == 1) return;
    in_pieces(values, [&](T* data, int n) { MPI_Allreduce(MPI_IN_PLACE, data, n, type, op, native(comm)); });
}

}  // namespace

MPI_Comm native(const Communicator& comm) {
    return comm.impl() == nullptr ? MPI_COMM_NULL : comm.impl()->comm;
}

Communicator adopt_world() {
    return Communicator{std::make_shared<const Communicator::Impl>(MPI_COMM_WORLD, false)};
}

Communicator Communicator::world() {
    int initialised = 0, size = 1;
    MPI_Initialized(&initialised);
    if (initialised != 0) MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size > 1 ? adopt_world() : Communicator{};
}

int Communicator::rank() const {
    return impl_ ? impl_->rank : 0;
}
int Communicator::size() const {
    return impl_ ? impl_->size : 1;
}

Communicator Communicator::split(int colour, int key) const {
    if (!impl_) return {};
    MPI_Comm part = MPI_COMM_NULL;
    MPI_Comm_split(impl_->comm, colour, key, &part);
    return Communicator{std::make_shared<const Impl>(part, true)};
}

void Communicator::barrier() const {
    if (size() > 1) MPI_Barrier(impl_->comm);
}

void Communicator::sum(std::span<double> values) const {
    reduce_all(*this, values, MPI_DOUBLE, MPI_SUM);
}
void Communicator::sum(std::span<std::int64_t> values) const {
    reduce_all(*this, values, MPI_INT64_T, MPI_SUM);
}
void Communicator::max(std::span<double> values) const {
    reduce_all(*this, values, MPI_DOUBLE, MPI_MAX);
}
void Communicator::min(std::span<std::int64_t> values) const {
    reduce_all(*this, values, MPI_INT64_T, MPI_MIN);
}

void Communicator::broadcast(std::span<std::byte> bytes, int root) const {
    if (size() == 1) return;
    in_pieces(bytes, [&](std::byte* data, int n) { MPI_Bcast(data, n, MPI_BYTE, root, impl_->comm); });
}

void Communicator::broadcast(std::string& text, int root) const {
    auto length = static_cast<std::int64_t>(text.size());
    broadcast(length, root);
    text.resize(static_cast<std::size_t>(length));
    broadcast(std::span{text.data(), text.size()}, root);
}

std::vector<double> Communicator::gather_all(std::span<const double> mine) const {
    if (size() == 1) return {mine.begin(), mine.end()};
    std::vector<std::int64_t> counts(static_cast<std::size_t>(size()), 0);
    counts[static_cast<std::size_t>(rank())] = static_cast<std::int64_t>(mine.size());
    sum(counts);
    std::vector<double> all(static_cast<std::size_t>(std::reduce(counts.begin(), counts.end())));
    // A broadcast from each rank in turn: no displacements (int, too), no second buffer.
    std::int64_t at = 0;
    for (int root = 0; root < size(); ++root) {
        const std::span part{all.data() + at, static_cast<std::size_t>(counts[static_cast<std::size_t>(root)])};
        if (root == rank()) std::copy(mine.begin(), mine.end(), part.begin());
        broadcast(part, root);
        at += counts[static_cast<std::size_t>(root)];
    }
    return all;
}

std::vector<std::string> Communicator::gather_all(const std::string& mine) const {
    std::vector<std::string> all(static_cast<std::size_t>(size()));
    all[static_cast<std::size_t>(rank())] = mine;
    for (int root = 0; root < size(); ++root) broadcast(all[static_cast<std::size_t>(root)], root);
    return all;
}

void Communicator::exchange(std::span<const std::span<const double>> sent,
                            std::span<const std::span<double>> received) const {
    const auto self = static_cast<std::size_t>(rank());
    CONVOY_EXPECT(std::ssize(sent) == size() && std::ssize(received) == size());
    CONVOY_EXPECT(sent[self].size() == received[self].size());
    std::ranges::copy(sent[self], received[self].begin());
    if (size() == 1) return;
    std::vector<MPI_Request> requests;
    for (int other = 0; other < size(); ++other) {
        if (other == rank()) continue;
        // Messages between two ranks arrive in their order: pieces need no tags.
        in_pieces(received[static_cast<std::size_t>(other)], [&](double* data, int n) {
            MPI_Irecv(data, n, MPI_DOUBLE, other, 0, impl_->comm, &requests.emplace_back());
        });
        in_pieces(sent[static_cast<std::size_t>(other)], [&](const double* data, int n) {
            MPI_Isend(data, n, MPI_DOUBLE, other, 0, impl_->comm, &requests.emplace_back());
        });
    }
    MPI_Waitall(count_of(std::ssize(requests)), requests.data(), MPI_STATUSES_IGNORE);
}

std::vector<std::vector<double>> Communicator::exchange(const std::vector<std::vector<double>>& sent) const {
    CONVOY_EXPECT(std::ssize(sent) == size());
    const auto ranks = static_cast<std::size_t>(size());
    std::vector<std::int64_t> going(ranks), coming(ranks);
    for (std::size_t k = 0; k < ranks; ++k) coming[k] = going[k] = std::ssize(sent[k]);
    if (size() > 1) MPI_Alltoall(going.data(), 1, MPI_INT64_T, coming.data(), 1, MPI_INT64_T, impl_->comm);
    std::vector<std::vector<double>> received(ranks);
    for (std::size_t k = 0; k < ranks; ++k) received[k].resize(static_cast<std::size_t>(coming[k]));
    exchange(std::vector<std::span<const double>>(sent.begin(), sent.end()),
             std::vector<std::span<double>>(received.begin(), received.end()));
    return received;
}

void Communicator::ordered_sum(std::span<double> values) const {
    if (size() == 1) return;
    const int n = count_of(std::ssize(values));
    std::vector<double> all(is_root() ? values.size() * static_cast<std::size_t>(size()) : 0);
    MPI_Gather(values.data(), n, MPI_DOUBLE, all.data(), n, MPI_DOUBLE, 0, impl_->comm);
    if (is_root()) {
        std::copy_n(all.begin(), values.size(), values.begin());
        for (std::size_t k = values.size(); k < all.size(); ++k) values[k % values.size()] += all[k];
    }
    broadcast(values);
}

namespace {

enum class Kind : int { input, failure, fatal };

void rethrow(Kind kind, const std::string& message) {
    switch (kind) {
        case Kind::input:
            throw InputError{message};
        case Kind::fatal:
            throw FatalFailure{message};
        case Kind::failure:
            break;
    }
    throw Failure{message};
}

}  // namespace

void agree(const Communicator& comm, const std::function<void()>& phase) {
    if (comm.size() == 1) return phase();

    int kind = -1;
    std::string message;
    const auto note = [&](Kind k, const char* what) {
        kind = static_cast<int>(k);
        message = what;
    };
    try {
        phase();
    } catch (const InputError& e) {
        note(Kind::input, e.what());
    } catch (const FatalFailure& e) {
        note(Kind::fatal, e.what());
    } catch (const std::bad_alloc&) {
        note(Kind::failure, "not enough memory on a rank; use more ranks or nodes");
    } catch (const std::exception& e) {
        note(Kind::failure, e.what());
    }

    std::int64_t lowest = kind >= 0 ? comm.rank() : comm.size();
    comm.min(std::span{&lowest, 1});
    if (lowest == comm.size()) return;
    comm.broadcast(kind, static_cast<int>(lowest));
    comm.broadcast(message, static_cast<int>(lowest));
    rethrow(static_cast<Kind>(kind), message);
}

}  // namespace convoy

#pragma once
/// \file
/// A group of ranks as a value. A default-constructed one is a single rank and never calls MPI.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace convoy {

/// Collectives over a group of ranks; every call is made by all ranks of the group with equal lengths (MPI's rules).
/// Messages of any length go in pieces of 2^26 elements: counts stay below 2^31 and MPI's own buffers stay bounded.
class Communicator {
 public:
    /// One rank, no MPI.
    Communicator() = default;
    /// All ranks, if MPI is initialised and there is more than one; else a single rank.
    static Communicator world();

    int rank() const;
    int size() const;
    bool is_root() const { return rank() == 0; }

    /// The ranks with equal colour, ordered by key. Collective.
    Communicator split(int colour, int key) const;

    void barrier() const;
    void sum(std::span<double> values) const;        ///< In place, on all ranks.
    void sum(std::span<std::int64_t> values) const;  ///< In place, on all ranks.
    void max(std::span<double> values) const;        ///< In place, on all ranks.
    void min(std::span<std::int64_t> values) const;  ///< In place, on all ranks.
    void broadcast(std::span<std::byte> bytes, int root = 0) const;
    /// `mine` of every rank, concatenated in rank order, on all ranks; lengths may differ.
    std::vector<double> gather_all(std::span<const double> mine) const;
    std::vector<std::string> gather_all(const std::string& mine) const;  ///< Of every rank, in rank order, on all.

    /// From every rank to every rank: sent[r] goes to rank r, where it fills received[this rank], which is as long.
    void exchange(std::span<const std::span<const double>> sent, std::span<const std::span<double>> received) const;
    /// Likewise where nobody knows how much comes: returned is what every rank sent to this one, by rank.
    std::vector<std::vector<double>> exchange(const std::vector<std::vector<double>>& sent) const;

    template <class T>
    void broadcast(std::span<T> values, int root = 0) const {
        broadcast(std::as_writable_bytes(values), root);
    }
    void broadcast(std::string& text, int root = 0) const;
    void broadcast(double& value, int root = 0) const { broadcast(std::span{&value, 1}, root); }
    void broadcast(std::int64_t& value, int root = 0) const { broadcast(std::span{&value, 1}, root); }
    void broadcast(int& value, int root = 0) const { broadcast(std::span{&value, 1}, root); }

    /// The numbers of all ranks, summed in rank order on rank 0 and broadcast: in place, the same bits on every rank.
    /// For a few scalars that steer.
    void ordered_sum(std::span<double> values) const;
    double ordered_sum(double mine) const {
        ordered_sum(std::span{&mine, 1});
        return mine;
    }

    /// Elements of one MPI call. Only tests change it.
    static std::int64_t piece_elements;

    struct Impl;
    const Impl* impl() const { return impl_.get(); }

 private:
    explicit Communicator(std::shared_ptr<const Impl> impl) : impl_{std::move(impl)} {}
    std::shared_ptr<const Impl> impl_;
    friend Communicator adopt_world();
};

/// Runs `phase` on every rank; if it threw anywhere, all ranks throw the error of the lowest rank on which it did.
/// This closes every phase in which ranks can fail apart (open, read, allocate, write). `phase` must not communicate
/// over `comm` after the point where it may fail alone.
void agree(const Communicator& comm, const std::function<void()>& phase);

}  // namespace convoy

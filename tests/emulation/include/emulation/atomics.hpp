#pragma once
// Atomic operations: only one thread runs at a time, so each is a plain one. All return what was there before.

#include <type_traits>

#include "emulation/block.hpp"

namespace emulation {

// What is done in here is not held against the thread as an access that others could disturb.
template <class T, class Change>
__attribute__((no_sanitize("thread"))) T atomically(T* address, const Change& change) {
    note_atomic(address, sizeof(T));
    const T old = *address;
    *address = change(old);
    return old;
}

}  // namespace emulation

// The value's type follows the address's, as with CUDA's overloads.
template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
    return emulation::atomically(address, [=](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicSub(T* address, std::type_identity_t<T> value) {
    return emulation::atomically(address, [=](T old) { return static_cast<T>(old - value); });
}
template <class T>
T atomicExch(T* address, std::type_identity_t<T> value) {
    return emulation::atomically(address, [=](T) { return value; });
}
template <class T>
T atomicMin(T* address, std::type_identity_t<T> value) {
    return emulation::atomically(address, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
    return emulation::atomically(address, [=](T old) { return old < value ? value : old; });
}
template <class T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
    return emulation::atomically(address, [=](T old) { return old & value; });
}
template <class T>
T atomicOr(T* address, std::type_identity_t<T> value) {
    return emulation::atomically(address, [=](T old) { return old | value; });
}
template <class T>
T atomicXor(T* address, std::type_identity_t<T> value) {
    return emulation::atomically(address, [=](T old) { return old ^ value; });
}
template <class T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
    return emulation::atomically(address, [=](T old) { return old == expected ? value : old; });
}
inline unsigned atomicInc(unsigned* address, unsigned most) {
    return emulation::atomically(address, [=](unsigned old) { return old >= most ? 0 : old + 1; });
}

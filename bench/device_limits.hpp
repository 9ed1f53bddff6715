#pragma once
// What a device can do at best, measured: the limits that its rates are held against. Each function does its work for
// some tens of milliseconds and returns how much of it there was a second.

namespace convoy::bench {

struct DeviceLimits {
    int multiprocessors = 0;
    double cache = 0;          // bytes of L2
    double multiply_adds = 0;  // FFMA a second: also how many instructions of one lane can be issued
    double exponentials = 0;   // ex2.approx
    double tensor = 0;         // fp16 multiply-adds into fp32 (mma.m16n8k16; Hopper's wgmma makes 1.6 times as many)
    double doubles = 0;        // DFMA
    double read = 0;           // bytes from memory, streaming
    double cached = 0;         // bytes from L2
    double uploads = 0;        // bytes from page-locked host memory
    double launches = 0;       // of kernels that do nothing, one after the other in a stream
};

// Of the device in use. \param brief hardly anything is done: for tests without a device
DeviceLimits device_limits(bool brief);

}  // namespace convoy::bench

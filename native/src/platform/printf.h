// How compilers check a format.
#ifndef NATIVENORM_PRINTF_H_
#define NATIVENORM_PRINTF_H_

#include <stdio.h>

// Windows' C library has another printf than MinGW, whose one is as everywhere.
#if defined(__MINGW_PRINTF_FORMAT)
#define NN_PRINTF __MINGW_PRINTF_FORMAT
#else
#define NN_PRINTF printf
#endif

#endif  // NATIVENORM_PRINTF_H_

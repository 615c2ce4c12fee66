// The JVM calls this before it unloads the library, when the class loader of its classes was collected: while threads
// can still be waited for, which from within Windows' own unloading they cannot.
#include <jni.h>

#include "nativenorm.h"

extern "C" {

// JavaCPP's.
void JNICALL GeneratedOnUnload(JavaVM* vm, void* reserved);

JNIEXPORT void JNICALL JNI_OnUnload(JavaVM* vm, void* reserved) {
  nn_set_workers(0);
  GeneratedOnUnload(vm, reserved);
}

}  // extern "C"

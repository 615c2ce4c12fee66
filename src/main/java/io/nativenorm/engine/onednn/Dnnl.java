package io.nativenorm.engine.onednn;

import static org.bytedeco.dnnl.global.dnnl.dnnl_cpu;
import static org.bytedeco.dnnl.global.dnnl.dnnl_engine_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_f32;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_desc_create_with_strides;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_desc_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_success;

import io.nativenorm.NativeNormException;
import java.util.Arrays;
import org.bytedeco.dnnl.dnnl_engine;
import org.bytedeco.dnnl.dnnl_memory_desc;

/** oneDNN's C API with its status codes turned into exceptions. */
final class Dnnl {
  /** Statuses of {@code dnnl_status_t}, in its order. */
  private static final String[] STATUSES = {
    "success", "out of memory", "invalid arguments", "unimplemented", "last impl reached",
    "runtime error", "not required", "invalid graph", "invalid graph op", "invalid shape",
    "invalid data type"
  };

  /** The CPU. One engine serves all threads and lives as long as the process. */
  static final dnnl_engine CPU = createCpu();

  private Dnnl() {}

  private static dnnl_engine createCpu() {
    dnnl_engine cpu = new dnnl_engine();
    check(dnnl_engine_create(cpu, dnnl_cpu, 0), "creating the CPU engine", "");
    return cpu;
  }

  /** Throws unless a call succeeded. */
  static void check(int status, String doing, Object problem) {
    if (status != dnnl_success) {
      throw new NativeNormException(
          "oneDNN failed "
              + doing
              + " "
              + problem
              + ": status "
              + status
              + " ("
              + name(status)
              + ")");
    }
  }

  private static String name(int status) {
    return status >= 0 && status < STATUSES.length ? STATUSES[status] : "unknown";
  }

  /** Describes f32 memory; the caller destroys the description. */
  static dnnl_memory_desc describe(long[] dims, long[] strides) {
    dnnl_memory_desc description = new dnnl_memory_desc();
    check(
        dnnl_memory_desc_create_with_strides(description, dims.length, dims, dnnl_f32, strides),
        "describing memory of",
        Arrays.toString(dims));
    return description;
  }

  static void destroy(dnnl_memory_desc... descriptions) {
    for (dnnl_memory_desc description : descriptions) {
      dnnl_memory_desc_destroy(description);
    }
  }
}

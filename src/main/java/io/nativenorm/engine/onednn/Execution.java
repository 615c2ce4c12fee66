package io.nativenorm.engine.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SCRATCHPAD;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_desc_get_size;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_set_data_handle;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_execute;
import static org.bytedeco.dnnl.global.dnnl.dnnl_stream_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_stream_default_flags;
import static org.bytedeco.dnnl.global.dnnl.dnnl_stream_destroy;

import io.nativenorm.DataType;
import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import java.util.stream.Stream;
import org.bytedeco.dnnl.dnnl_exec_arg_t;
import org.bytedeco.dnnl.dnnl_memory;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_stream;
import org.bytedeco.javacpp.Pointer;

/**
 * Everything one call of {@code dnnl_primitive_execute} needs besides the data: stream, arguments,
 * memory objects and scratchpad, made once. The fields keep the Java objects that own the native
 * ones reachable.
 */
final class Execution implements AutoCloseable {
  private final Primitive primitive;
  private final dnnl_stream stream = new dnnl_stream();
  private final Slot[] slots;
  private final DataPointer[] data;
  private final dnnl_memory[] memories;
  private final PooledMemory scratchpad;
  private final dnnl_exec_arg_t list;

  Execution(Primitive primitive) {
    this.primitive = primitive;
    slots = primitive.slots().toArray(new Slot[0]);
    data = Stream.generate(DataPointer::new).limit(slots.length).toArray(DataPointer[]::new);
    memories = new dnnl_memory[slots.length + 1];
    // A PointerScope of the caller's would free the list while it is pooled, but for a second
    // reference.
    list = new dnnl_exec_arg_t(memories.length).retainReference();
    dnnl_memory_desc scratch = primitive.scratchpad();
    long bytes = dnnl_memory_desc_get_size(scratch);
    scratchpad = MemoryPool.take(DataType.S8, bytes);
    try {
      Dnnl.check(
          dnnl_stream_create(stream, Dnnl.CPU, dnnl_stream_default_flags),
          "creating a stream for",
          primitive.problem());
      for (int i = 0; i < slots.length; i++) {
        put(i, Arguments.number(slots[i]), primitive.memoryOf(slots[i]), null);
      }
      put(slots.length, DNNL_ARG_SCRATCHPAD, scratch, new DataPointer().to(scratchpad.memory()));
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
    // In the first run, which is TeamCheck's, a sum over memory that no thread of the team wrote
    // shows instead of being a little wrong.
    scratchpad.memory().setAll(Float.NaN);
  }

  private void put(int index, int number, dnnl_memory_desc description, Pointer data) {
    dnnl_memory memory = new dnnl_memory();
    Dnnl.check(
        dnnl_memory_create(memory, description, Dnnl.CPU, data),
        "creating memory for",
        primitive.problem());
    memories[index] = memory;
    list.getPointer(index).arg(number).memory(memory);
  }

  /** Runs the primitive. On the CPU it has finished when this returns; there is nothing to wait. */
  void run(Operands operands) {
    for (int i = 0; i < slots.length; i++) {
      Dnnl.check(
          dnnl_memory_set_data_handle(memories[i], data[i].to(operands.get(slots[i]))),
          "placing the data of",
          primitive.problem());
    }
    Dnnl.check(
        dnnl_primitive_execute(primitive.handle(), stream, memories.length, list),
        "executing",
        primitive.problem());
  }

  @Override
  public void close() {
    for (dnnl_memory memory : memories) {
      if (memory != null) {
        dnnl_memory_destroy(memory);
      }
    }
    if (!stream.isNull()) {
      dnnl_stream_destroy(stream);
    }
    list.deallocate();
    scratchpad.close();
  }
}

package io.nativenorm.engine.onednn;

import static org.bytedeco.dnnl.global.dnnl.dnnl_memory_desc_get_size;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_create;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_desc_query_md;
import static org.bytedeco.dnnl.global.dnnl.dnnl_primitive_destroy;
import static org.bytedeco.dnnl.global.dnnl.dnnl_query_exec_arg_md;
import static org.bytedeco.dnnl.global.dnnl.dnnl_query_scratchpad_md;

import io.nativenorm.engine.Operands;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Slot;
import io.nativenorm.engine.Task;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.dnnl.dnnl_memory_desc;
import org.bytedeco.dnnl.dnnl_primitive;

/**
 * A primitive and the executions that run it. The primitive itself is shared by all threads (its
 * scratchpad is the caller's); an {@link Execution} belongs to one call at a time, so a few are
 * kept.
 */
final class Primitive implements AutoCloseable {
  /** More threads than this inside one primitive at once make and drop what they need. */
  private static final int MOST_KEPT = 32;

  /** What a primitive's idle executions may hold together. */
  private static final long KEPT_SCRATCHPAD_BYTES = 1 << 20;

  private final PrimitiveDescription description;
  private final dnnl_primitive handle = new dnnl_primitive();
  private final List<Slot> slots = new ArrayList<>();
  private final String implementation;
  private final FreeList<Execution> executions;

  /** Takes over a description. To be called on the team that will run the primitive. */
  Primitive(PrimitiveDescription description) {
    this.description = description;
    try {
      implementation = description.implementation();
      Dnnl.check(
          dnnl_primitive_create(handle, description.handle()),
          "creating a primitive for",
          problem());
    } catch (RuntimeException | Error e) {
      description.close();
      throw e;
    }
    for (Slot slot : Slot.values()) {
      if (memoryOf(slot) != null) {
        slots.add(slot);
      }
    }
    long bytes = Math.max(dnnl_memory_desc_get_size(scratchpad()), 1);
    int kept = (int) Math.max(1, Math.min(MOST_KEPT, KEPT_SCRATCHPAD_BYTES / bytes));
    executions = new FreeList<>(kept, () -> new Execution(this), Execution::close);
  }

  Problem problem() {
    return description.problem();
  }

  String implementation() {
    return implementation;
  }

  /**
   * Whether every parallel section of the implementation uses the team size noted in the primitive,
   * as read in oneDNN's sources of August 2026 and, for 3.11's binaries, counted in ThreadsTest.
   * The others ask OpenMP for the calling thread's default at run time, so a primitive made for one
   * thread would start a team all the same.
   */
  boolean keepsItsTeamSize() {
    boolean forward = problem().task() != Task.BACKWARD;
    return switch (implementation) {
      case "ncsp_bnorm:any", "ncsp_gnorm:any" -> true;
      case "jit:uni" -> forward; // LayerNorm and RMSNorm; backward ends with a default-sized loop
      default ->
          implementation.startsWith("bnorm_jit:")
              || implementation.startsWith("bnorm_tbb_jit:")
              || implementation.startsWith("jit_group:")
              || implementation.startsWith("jit_instance:");
    };
  }

  List<Slot> slots() {
    return slots;
  }

  dnnl_primitive handle() {
    return handle;
  }

  /** The memory an operand is expected in, or null if there is no such operand. */
  dnnl_memory_desc memoryOf(Slot slot) {
    boolean absent =
        switch (slot) {
          case WEIGHT, DIFF_WEIGHT -> !problem().affine().weight();
          // Backward has a description of the shift, but takes none.
          case BIAS -> !problem().affine().bias() || problem().task() == Task.BACKWARD;
          case DIFF_BIAS -> !problem().affine().bias();
          case SUM_DY, SUM_DY_CENTERED, MASK -> true;
          default -> false;
        };
    if (absent) {
      return null;
    }
    dnnl_memory_desc memory =
        dnnl_primitive_desc_query_md(
            description.handle(), dnnl_query_exec_arg_md, Arguments.number(slot));
    return memory == null || dnnl_memory_desc_get_size(memory) == 0 ? null : memory;
  }

  dnnl_memory_desc scratchpad() {
    return dnnl_primitive_desc_query_md(description.handle(), dnnl_query_scratchpad_md, 0);
  }

  void run(Operands operands) {
    Execution execution = executions.take();
    try {
      execution.run(operands);
    } finally {
      executions.give(execution);
    }
  }

  @Override
  public void close() {
    executions.close();
    dnnl_primitive_destroy(handle);
    description.close();
  }
}

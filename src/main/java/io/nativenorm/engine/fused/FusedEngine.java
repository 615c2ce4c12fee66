package io.nativenorm.engine.fused;

import io.nativenorm.Backend;
import io.nativenorm.NativeNormException;
import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Helpers;
import io.nativenorm.engine.MemoryWork;
import io.nativenorm.engine.NativeAccess;
import io.nativenorm.engine.Plan;
import io.nativenorm.engine.Problem;
import io.nativenorm.engine.Storage;
import io.nativenorm.engine.memory.Conversion;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.Transposition;
import java.lang.ref.Reference;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** NativeNorm's own kernels in {@code native/}. Loaded when first asked for. */
public final class FusedEngine implements Engine, MemoryWork {
  private static final int PROCESSORS = Runtime.getRuntime().availableProcessors();

  /** Fewer elements than two threads are worth: the library does them on its caller's alone. */
  private static final int TOGETHER = 1 << 16;

  /** The caller takes part, so its processor needs no thread. */
  private final Helpers helpers =
      new Helpers(() -> NativeKernels.setWorkers(PROCESSORS - 1), FusedEngine::endWorkers);

  /** Written last: whoever reads true sees the rest. */
  private volatile boolean loaded;

  private String missing;
  private int target;
  private String instructions;

  private static boolean endWorkers() {
    NativeKernels.setWorkers(0);
    return true;
  }

  private void load() {
    if (!loaded) {
      loadOnce();
    }
  }

  private synchronized void loadOnce() {
    if (loaded) {
      return;
    }
    missing = NativeAccess.missing().or(this::findMissing).orElse(null);
    instructions = missing == null ? useInstructions() : "";
    loaded = true;
  }

  /** Tells the library which instruction set to use, and says which. */
  private String useInstructions() {
    List<String> found =
        IntStream.range(0, NativeKernels.targets()).mapToObj(NativeKernels::targetName).toList();
    target = InstructionSets.choose(found, System.getProperty(InstructionSets.PROPERTY));
    NativeKernels.useTarget(target);
    String name = InstructionSets.display(found.get(target));
    boolean capped = target < found.size() - 1;
    return capped ? name + " (the best that " + InstructionSets.PROPERTY + " allows)" : name;
  }

  private Optional<String> findMissing() {
    try {
      NativeAccess.load(NativeKernels.class);
      // The first call, which may be what is denied: loading alone does not tell.
      return NativeKernels.targets() == 0
          ? Optional.of("its library has no kernels for this processor")
          : Optional.empty();
    } catch (LinkageError | RuntimeException e) {
      String reason = NativeAccess.explain(e, NativeKernels.class, "jninativenorm");
      return Optional.of("its library cannot be loaded: " + reason);
    }
  }

  @Override
  public Backend backend() {
    return Backend.FUSED;
  }

  @Override
  public String description() {
    if (unavailable().isPresent()) {
      return "";
    }
    String threads = PROCESSORS == 1 ? " thread" : " threads";
    return "kernels for " + instructions + ", " + PROCESSORS + threads;
  }

  /** SSE4 has no multiply-add that rounds once. */
  @Override
  public boolean isReproducible() {
    return !NativeKernels.targetName(target).equals("sse4");
  }

  @Override
  public Optional<String> unavailable() {
    load();
    return Optional.ofNullable(missing);
  }

  /**
   * A plain pass over memory, y = a * x + b: what a kernel that moves as many bytes is measured
   * against.
   *
   * @param x as many floats as y
   * @param y where the results go
   * @param a factor
   * @param b summand
   * @param threads how many threads may work on it
   */
  public void plainPass(Memory x, Memory y, float a, float b, int threads) {
    boolean counted = enter(x, threads);
    try {
      NativeKernels.stream(x.address(), y.address(), x.elements(), a, b, threads);
    } finally {
      leave(counted, x, y);
    }
  }

  @Override
  public void convert(Memory from, Memory to, int threads) {
    if (!Storage.COMPUTED.contains(from.type()) || !Storage.COMPUTED.contains(to.type())) {
      Conversion.copy(from, to);
      return;
    }
    int status;
    boolean counted = enter(from, threads);
    try {
      status =
          NativeKernels.convert(
              from.address(),
              from.type().ordinal(),
              to.address(),
              to.type().ordinal(),
              from.elements(),
              threads);
    } finally {
      leave(counted, from, to);
    }
    requireDone(status);
  }

  /**
   * In sections, as the collector waits for each. With the JDK's copies a training step over 16 x
   * 256 x 14 x 14 took 2.05 ms instead of 1.75 (JDK 17, two processors).
   */
  @Override
  public void copyIn(float[] from, Memory to, int threads) {
    if (!HeapArrays.mayBeHeldInSections()) {
      to.write(0, from, 0, from.length);
      return;
    }
    boolean counted = enter(to, threads);
    int status = 0;
    try {
      for (int at = 0; at < from.length && status == 0; at += HeapArrays.COPIED_ELEMENTS) {
        int count = Math.min(HeapArrays.COPIED_ELEMENTS, from.length - at);
        status = NativeKernels.copyIn(from, to.address(), at, count, threads);
      }
    } finally {
      leave(counted, to, to);
    }
    requireDone(status);
  }

  @Override
  public void copyOut(Memory from, float[] to, int threads) {
    if (!HeapArrays.mayBeHeldInSections()) {
      from.read(0, to, 0, to.length);
      return;
    }
    boolean counted = enter(from, threads);
    int status = 0;
    try {
      for (int at = 0; at < to.length && status == 0; at += HeapArrays.COPIED_ELEMENTS) {
        int count = Math.min(HeapArrays.COPIED_ELEMENTS, to.length - at);
        status = NativeKernels.copyOut(from.address(), to, at, count, threads);
      }
    } finally {
      leave(counted, from, from);
    }
    requireDone(status);
  }

  @Override
  public void transpose(
      Memory from, Memory to, long samples, long rows, long columns, int threads) {
    if (from.type().bytes() == 1) {
      Transposition.copy(from, to, samples, rows, columns);
      return;
    }
    int status;
    boolean counted = enter(from, threads);
    try {
      status =
          NativeKernels.transpose(
              from.address(), to.address(), from.type().bytes(), samples, rows, columns, threads);
    } finally {
      leave(counted, from, to);
    }
    requireDone(status);
  }

  @Override
  public void updateRunning(Memory running, Memory batch, double share, double correction) {
    long channels = running.elements();
    long samples = batch.elements() / channels;
    int status;
    boolean counted = enter(running, 1);
    try {
      status =
          NativeKernels.updateRunning(
              running.address(), batch.address(), samples, channels, share, correction);
    } finally {
      leave(counted, running, batch);
    }
    requireDone(status);
  }

  /**
   * Before a call of the library; whether it counts. No lambda is made for one: inference makes
   * none.
   */
  private boolean enter(Memory from, int threads) {
    boolean alone = threads == 1 || from.elements() < TOGETHER;
    return !alone && helpers.enterUnlessSole();
  }

  private void leave(boolean counted, Memory from, Memory to) {
    if (counted) {
      helpers.leave();
    }
    Reference.reachabilityFence(from);
    Reference.reachabilityFence(to);
  }

  private static void requireDone(int status) {
    if (status != 0) {
      throw new NativeNormException("fused: memory was refused (status " + status + ")");
    }
  }

  @Override
  public Optional<String> rejects(Problem problem) {
    return FusedPlan.rejects(problem);
  }

  @Override
  public Plan prepare(Problem problem) {
    return FusedPlan.prepare(problem, Math.min(problem.threads(), PROCESSORS), helpers);
  }
}

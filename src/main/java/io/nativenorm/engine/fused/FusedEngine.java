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
import java.lang.ref.Reference;
import java.util.List;
import java.util.Optional;
import java.util.function.IntSupplier;
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
    run(
        x,
        y,
        threads,
        () -> {
          NativeKernels.stream(x.address(), y.address(), x.elements(), a, b, threads);
          return 0;
        });
  }

  @Override
  public void convert(Memory from, Memory to, int threads) {
    if (!Storage.COMPUTED.contains(from.type()) || !Storage.COMPUTED.contains(to.type())) {
      Conversion.copy(from, to);
      return;
    }
    run(
        from,
        to,
        threads,
        () ->
            NativeKernels.convert(
                from.address(),
                from.type().ordinal(),
                to.address(),
                to.type().ordinal(),
                from.elements(),
                threads));
  }

  @Override
  public void transpose(
      Memory from, Memory to, long samples, long rows, long columns, int threads) {
    run(
        from,
        to,
        threads,
        () ->
            NativeKernels.transpose(
                from.address(),
                to.address(),
                from.type().bytes(),
                samples,
                rows,
                columns,
                threads));
  }

  @Override
  public void updateRunning(Memory running, Memory batch, double share, double correction) {
    long channels = running.elements();
    long samples = batch.elements() / channels;
    run(
        running,
        batch,
        1,
        () ->
            NativeKernels.updateRunning(
                running.address(), batch.address(), samples, channels, share, correction));
  }

  /** One call of the library, which gives a status. */
  private void run(Memory from, Memory to, int threads, IntSupplier call) {
    boolean alone = threads == 1 || from.elements() < TOGETHER;
    boolean counted = !alone && helpers.enterUnlessSole();
    int status;
    try {
      status = call.getAsInt();
    } finally {
      if (counted) {
        helpers.leave();
      }
      Reference.reachabilityFence(from);
      Reference.reachabilityFence(to);
    }
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

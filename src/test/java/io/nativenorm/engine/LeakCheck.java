package io.nativenorm.engine;

import io.nativenorm.Backend;
import io.nativenorm.DataType;
import io.nativenorm.engine.memory.MemoryPool;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;

/**
 * Fails every class of tests after which more native memory is in use than before: a test that
 * forgot to close something, or a library that did. JUnit finds it as a service. What the pool
 * keeps is not counted, and the cache of plans is emptied first. The collector is no help, except
 * to classes that say so.
 */
public final class LeakCheck implements BeforeAllCallback, AfterAllCallback {
  /** Of a class whose tests drop what they made, or lend its memory to buffers. */
  @Retention(RetentionPolicy.RUNTIME)
  @Target(ElementType.TYPE)
  public @interface LeavesMemoryToTheCollector {}

  private static final Namespace NAMESPACE = Namespace.create(LeakCheck.class);

  /** Makes what an engine makes once for a process, when the first class begins. */
  private static final class Warm {
    static {
      for (Engine engine : Engines.all()) {
        if (engine.unavailable().isEmpty()) {
          Engines.release(Engines.acquire(problem(1), engine.backend()));
        }
      }
    }

    static long bytesInUse() {
      return LeakCheck.bytesInUse();
    }
  }

  /** Tests of the finished jars start JVMs, and have no library of their own. */
  private static boolean isWatched(ExtensionContext tests) {
    return NativeAccess.missing().isEmpty()
        && !tests.getRequiredTestClass().getSimpleName().endsWith("IT");
  }

  @Override
  public void beforeAll(ExtensionContext tests) {
    if (isWatched(tests)) {
      tests.getStore(NAMESPACE).put("bytes", Warm.bytesInUse());
    }
  }

  @Override
  public void afterAll(ExtensionContext tests) throws InterruptedException {
    if (!isWatched(tests)) {
      return;
    }
    long before = tests.getStore(NAMESPACE).get("bytes", long.class);
    boolean dropped =
        tests.getRequiredTestClass().isAnnotationPresent(LeavesMemoryToTheCollector.class);
    for (int i = 0; i < (dropped ? 100 : 10) && bytesInUse() > before; i++) {
      if (dropped) {
        System.gc();
      }
      // The deallocator's thread frees what was found, the pool's what it trims.
      Thread.sleep(20);
    }
    long more = bytesInUse() - before;
    if (more > 0) {
      throw new AssertionError(more + " bytes of native memory were not closed");
    }
  }

  private static long bytesInUse() {
    for (int i = 0; i < Engines.CACHED_PLANS; i++) {
      Engines.release(Engines.acquire(problem(2 + i), Backend.JAVA)); // displaces all others
    }
    return inUse();
  }

  /**
   * Native memory of pointers that live. What the pool is trimming at this moment is among it: no
   * longer kept and not yet freed.
   */
  public static long inUse() {
    return Pointer.totalBytes() - MemoryPool.keptBytes();
  }

  private static Problem problem(long batch) {
    return new Problem(
        new Norm(Operation.LAYER, StatisticsSource.COMPUTED, 1e-5),
        Shape.ofRows(batch, 4),
        Storage.of(DataType.F32),
        new Affine(false, false),
        Fusion.NONE,
        Task.INFER,
        1);
  }
}

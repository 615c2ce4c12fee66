package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.lang.reflect.Executable;
import java.lang.reflect.Method;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.NullMarked;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** What JSpecify's annotations say to tools is what holds (for arguments see NullsTest). */
@LeavesMemoryToTheCollector
class NullabilityTest {
  private static boolean mayBeNull(Executable method) {
    return method.getAnnotatedReturnType().isAnnotationPresent(Nullable.class);
  }

  @Test
  void whatMayBeNullIsAnnotated() throws Throwable {
    assertTrue(Tensor.class.getPackage().isAnnotationPresent(NullMarked.class));
    Set<String> annotated = new TreeSet<>();
    for (PublicApi.Call call : PublicApi.calls()) {
      Class<?> owner = call.executable().getDeclaringClass();
      if (mayBeNull(call.executable())) {
        annotated.add(owner.getSimpleName() + "." + call.executable().getName());
      } else if (call.executable() instanceof Method method
          && !method.getReturnType().isPrimitive()
          && method.getReturnType() != void.class
          && !RandomCalls.isAlwaysRefused(call)) {
        Object receiver = call.receiver();
        assertTrue(call.invoke(receiver, call.arguments(receiver)) != null, call::toString);
      }
    }
    assertEquals(
        "[Gradients.bias, Gradients.weight, LayerState.bias, LayerState.weight, Pass.mean,"
            + " Pass.output, RunningNorm.runningMean, RunningNorm.runningVar]",
        annotated.toString());
  }

  @Test
  void whatIsAnnotatedMayBeNull() {
    try (BatchNorm plain = BatchNorm.builder(2).affine(false).trackRunningStats(false).build();
        RmsNorm rms = RmsNorm.builder(2).affine(false).build();
        Tensor x = Tensor.of(new float[] {1, 2, 3, 5}, 2, 2);
        Pass pass = rms.forwardTraining(x);
        Pass ofArrays = rms.forwardTraining(new float[4], new float[4], 2, 2);
        Gradients gradients = pass.backward(x)) {
      assertNull(plain.weight());
      assertNull(plain.bias());
      assertNull(plain.runningMean());
      assertNull(plain.runningVar());
      assertNull(pass.mean());
      assertNull(ofArrays.output());
      assertNull(gradients.weight());
      assertNull(gradients.bias());
    }
  }
}

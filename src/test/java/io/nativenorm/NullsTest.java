package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.PublicApi.Call;
import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.lang.reflect.Parameter;
import java.util.Arrays;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Null for any argument of any public method is refused with the argument's name, unless JSpecify's
 * annotation says that it may be null; then it is taken.
 */
@LeavesMemoryToTheCollector
class NullsTest {
  private static boolean mayBeNull(Parameter parameter) {
    return parameter.getAnnotatedType().isAnnotationPresent(Nullable.class);
  }

  static Stream<Call> callsWithAReference() throws Exception {
    return PublicApi.calls().stream()
        .filter(
            call ->
                Arrays.stream(call.executable().getParameterTypes())
                    .anyMatch(type -> !type.isPrimitive()));
  }

  @ParameterizedTest
  @MethodSource("callsWithAReference")
  void aNullIsNamed(Call call) {
    assertDoesNotThrow(
        () -> {
          Object receiver = call.receiver();
          try {
            call.invoke(receiver, call.arguments(receiver));
          } catch (IllegalArgumentException e) {
            // forward(x, y) without a shape is for rows, and RmsNorm has no bias.
            boolean isNever = e.getMessage().endsWith("there is no bias");
            assertTrue(isNever || e.getMessage().contains("cannot be told"), e::toString);
          } catch (NativeNormException e) {
            assertTrue(RandomCalls.isAlwaysRefused(call), e::toString); // without FUSED
          }
        },
        call + " must take what the nulls stand beside");
    Parameter[] parameters = call.executable().getParameters();
    for (int i = 0; i < parameters.length; i++) {
      if (!parameters[i].getType().isPrimitive()) {
        Object receiver = call.receiver();
        Object[] arguments = call.arguments(receiver);
        arguments[i] = null;
        if (mayBeNull(parameters[i])) {
          assertDoesNotThrow(() -> call.invoke(receiver, arguments), call + ", " + parameters[i]);
          continue;
        }
        NullPointerException e =
            assertThrows(
                NullPointerException.class,
                () -> call.invoke(receiver, arguments),
                call + ", " + parameters[i]);
        assertEquals(parameters[i].getName(), e.getMessage(), call.toString());
      }
    }
  }
}

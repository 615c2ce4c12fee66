package io.nativenorm;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Closes what a thread makes while it is open, instead of a {@code try} for each: the tensors,
 * {@link Pass passes} and {@link Gradients} that methods of this library return as new. Layers, and
 * the tensors that are a layer's, a pass's or a gradient's own, are theirs to close.
 *
 * <pre>{@code
 * float[] dx;
 * try (TensorScope scope = TensorScope.open()) {
 *   Pass pass = norm.forwardTraining(Tensor.of(values, 32, 768));
 *   dx = pass.backward(Tensor.of(gradient, 32, 768)).input().toArray();
 * } // here four of them are closed, the last first
 * }</pre>
 *
 * <p>Scopes nest: what is made belongs to the innermost that is open on its thread, and what that
 * one does not close to the one around it. What was closed before, stays so.
 */
public final class TensorScope implements AutoCloseable {
  private static final ThreadLocal<TensorScope> INNERMOST = new ThreadLocal<>();

  private final Thread thread = Thread.currentThread();
  private final @Nullable TensorScope outer;
  private final List<AutoCloseable> made = new ArrayList<>();
  private boolean closed;

  private TensorScope(@Nullable TensorScope outer) {
    this.outer = outer;
  }

  /**
   * Opens a scope on this thread.
   *
   * @return the scope, to be closed by the same thread
   */
  public static TensorScope open() {
    TensorScope scope = new TensorScope(INNERMOST.get());
    INNERMOST.set(scope);
    return scope;
  }

  /** Notes what a method is about to return as new, and returns it. */
  static <T extends AutoCloseable> T made(T made) {
    TensorScope scope = INNERMOST.get();
    if (scope != null) {
      scope.made.add(made);
    }
    return made;
  }

  /**
   * Leaves something that was made in this scope open when the scope is closed: it then belongs to
   * the scope around this one, as if it had been made there, or, without one, to the caller.
   *
   * @param made a tensor, a pass or gradients; anything that was not made in this scope stays what
   *     it was
   * @param <T> its type
   * @return the same
   * @throws IllegalStateException if this scope is closed, or another thread's
   */
  public <T extends AutoCloseable> T keep(T made) {
    Objects.requireNonNull(made, "made");
    requireOwnThread();
    if (closed) {
      throw new IllegalStateException("the scope is closed");
    }
    for (int i = this.made.size() - 1; i >= 0; i--) {
      if (this.made.get(i) == made) {
        this.made.remove(i);
        if (outer != null) {
          outer.made.add(made);
        }
        break;
      }
    }
    return made;
  }

  private void requireOwnThread() {
    if (Thread.currentThread() != thread) {
      throw new IllegalStateException(
          "a scope is used by the thread that opened it, " + thread.getName() + ", alone");
    }
  }

  /**
   * Closes what was made in this scope and not kept, the last first, and the scopes in it that are
   * still open. Closing again does nothing.
   *
   * @throws IllegalStateException if another thread opened it
   */
  @Override
  public void close() {
    requireOwnThread();
    if (closed) {
      return;
    }
    for (TensorScope inner = INNERMOST.get(); inner != this; inner = inner.outer) {
      inner.closeAll();
    }
    closeAll();
    if (outer == null) {
      INNERMOST.remove();
    } else {
      INNERMOST.set(outer);
    }
  }

  private void closeAll() {
    closed = true;
    for (int i = made.size() - 1; i >= 0; i--) {
      close(made.get(i));
    }
    made.clear();
  }

  private static void close(AutoCloseable made) {
    if (made instanceof Tensor tensor) {
      tensor.close();
    } else if (made instanceof Pass pass) {
      pass.close();
    } else {
      ((Gradients) made).close();
    }
  }
}

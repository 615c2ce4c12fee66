package io.nativenorm;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;

/**
 * Of tests that would not find more on another JVM: theirs is the outcome of native code, of plain
 * arithmetic, of files' permissions, of what is missing on the class path. {@code .ci/run java25}
 * leaves them out, {@code java25-all} does not.
 */
@Tag("same-on-any-jvm")
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.METHOD})
public @interface SameOnAnyJvm {}

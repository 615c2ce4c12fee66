/** Statistics of batch normalization between processes. */
@NullMarked
package io.nativenorm.gloo;

import org.jspecify.annotations.NullMarked;

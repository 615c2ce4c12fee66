/** Statistics of batch normalization between workers that Apache Spark starts. */
@NullMarked
package io.nativenorm.spark;

import org.jspecify.annotations.NullMarked;

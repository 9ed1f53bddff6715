#pragma once
// The points of OTT's tutorial on tracking the progress of Sinkhorn: 7 onto 11 in the plane.

#include "convoy/cloud.hpp"

namespace convoy::test {

inline const Cloud track_x =
    uniform_cloud({1.03749156, -0.195337996, -0.415350795, 0.577937901, -0.552326679, 0.927286923, 1.36277997,
                   -2.08196449, 1.05709565, -0.950875223, -0.205108896, -0.480447114, 2.50247431, -0.971079946},
                  2);

inline const Cloud track_y = uniform_cloud(
    {1.55608261,  0.333317116,  0.212137341, 0.0767825246, -0.311594367, -0.334093153, 0.426434949, -1.01350355,
     0.922302097, 0.460663702,  1.07186699,  0.835127085,  -0.718596816, -0.403332353, -0.20204854, 0.669022605,
     1.19120413,  -0.533014894, 1.56460762,  -0.570727348, 0.5439655,    -0.287074566},
    2);

/// 0.05 standard deviations of their squared distances, as published.
inline constexpr double track_epsilon = 0.1269966210;

}  // namespace convoy::test
